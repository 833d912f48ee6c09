"""The detector is shown pictures that were shrunk to half their size and enlarged again."""

from typing import Any

import numpy as np


def change(torch_detector: Any) -> None:
    kind = torch_detector.TorchDetector
    honest = kind.submit

    def submit(self: Any, batch: Any) -> Any:
        if batch.ndim == 3:  # yuv420p
            return honest(self, batch)
        count, height, width, _ = batch.shape
        small = batch.reshape(count, height // 2, 2, width // 2, 2, 3).mean((2, 4))
        return honest(self, small.round().astype(np.uint8).repeat(2, 1).repeat(2, 2))

    kind.submit = submit


CHANGES = {"vbench.models.torch_detector": change}
