"""The detector finds nothing, in the service and in the reference pass alike."""

from dataclasses import replace
from typing import Any


def change(torch_detector: Any) -> None:
    kind = torch_detector.TorchDetector
    honest = kind.submit

    def submit(self: Any, batch: Any) -> Any:
        answer = honest(self, batch)
        return lambda: [
            replace(one, classes=one.classes[:0], scores=one.scores[:0], boxes=one.boxes[:0])
            for one in answer()
        ]

    kind.submit = submit


CHANGES = {"vbench.models.torch_detector": change}
