"""Replicas do other than configured, after they were set up: more threads in torch and in FFmpeg, one frame
at a time in the network, and fewer slots in the service."""

from typing import Any


def more_threads(batching: Any) -> None:
    kind = batching.Batcher
    honest = kind._start_batch

    def submit(self: Any, parts: Any) -> None:
        import torch

        torch.set_num_threads(2)
        honest(self, parts)

    kind._start_batch = submit


def more_threads_in_ffmpeg(process: Any) -> None:
    honest = process._start

    def start(command: Any, *rest: Any) -> Any:
        words = list(command)
        words[words.index("-threads") + 1] = "2"
        return honest(words, *rest)

    process._start = start


def one_by_one(torch_detector: Any) -> None:
    kind = torch_detector.TorchDetector
    honest = kind.submit

    def submit(self: Any, batch: Any) -> Any:
        return lambda: [found for i in range(len(batch)) for found in honest(self, batch[i : i + 1])()]

    kind.submit = submit


def fewer_slots(service: Any) -> None:
    kind = service.VideoProcessingService
    honest = kind.process

    async def process(self: Any, *arguments: Any, **named: Any) -> bytes:
        self._admission.slots = 4
        return await honest(self, *arguments, **named)

    kind.process = process


CHANGES = {
    "vbench.pipeline.service": fewer_slots,
    "vbench.pipeline.batching": more_threads,
    "vbench.video.ffmpeg.process": more_threads_in_ffmpeg,
    "vbench.models.torch_detector": one_by_one,
}
