"""The service gives the first answer to a video to everybody who asks for it later."""

from typing import Any


def change(service: Any) -> None:
    kind = service.VideoProcessingService
    honest, answers = kind.process, {}

    async def process(self: Any, request: Any, received_s: float, api: Any) -> bytes:
        if request.video not in answers:
            answers[request.video] = await honest(self, request, received_s, api)
        return answers[request.video]

    kind.process = process


CHANGES = {"vbench.pipeline.service": change}
