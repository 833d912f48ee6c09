"""The detector is shown pictures of 32 levels of red, green and blue instead of 256."""

from typing import Any


def change(torch_detector: Any) -> None:
    kind = torch_detector.TorchDetector
    honest = kind.submit
    kind.submit = lambda self, batch: honest(self, batch // 8 * 8)


CHANGES = {"vbench.models.torch_detector": change}
