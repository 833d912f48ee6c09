"""The detector sees every second frame of a batch, and repeats its last answer for the others."""

from typing import Any


def change(torch_detector: Any) -> None:
    kind = torch_detector.TorchDetector
    honest = kind.submit

    def submit(self: Any, batch: Any) -> Any:
        answer = honest(self, batch[::2])

        def repeated() -> Any:
            found = answer()
            return [found[index // 2] for index in range(len(batch))]

        return repeated

    kind.submit = submit


CHANGES = {"vbench.models.torch_detector": change}
