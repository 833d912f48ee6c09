"""Boxes have half their width and height, in the service and in the reference pass alike."""

from dataclasses import replace
from typing import Any


def change(torch_detector: Any) -> None:
    kind = torch_detector.TorchDetector
    honest = kind.submit

    def submit(self: Any, batch: Any) -> Any:
        answer = honest(self, batch)
        return lambda: [replace(one, boxes=halved(one.boxes)) for one in answer()]

    kind.submit = submit


def halved(boxes: Any) -> Any:
    smaller = boxes.copy()
    smaller[:, 2:] = (boxes[:, :2] + boxes[:, 2:]) / 2
    return smaller


CHANGES = {"vbench.models.torch_detector": change}
