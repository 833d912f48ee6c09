"""The detector is shown pictures of 32 x 32 pixels, in the service and in the reference pass alike."""

from typing import Any

import numpy as np


def change(torch_detector: Any) -> None:
    kind = torch_detector.TorchDetector
    honest = kind.submit

    def submit(self: Any, batch: Any) -> Any:
        rows, columns = (np.arange(size) * 32 // size * size // 32 for size in batch.shape[1:3])
        return honest(self, np.ascontiguousarray(batch[:, rows][:, :, columns]))

    kind.submit = submit


CHANGES = {"vbench.models.torch_detector": change}
