"""What a scene shows at each time of a clip, from the renderer: boxes and frames without decoding."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vbench.models.average_precision import IGNORE_BELOW
from vbench.video.scene import Scene, SceneSettings, SceneTruth
from vbench.video.types import TruthBox

MOVED_PX = 2.0
"""An object has moved if a side of its box has moved by more than this, in pixels of the video, and by more
than ``MOVED_SHARE``."""
MOVED_SHARE = 0.03
"""Of the box's larger side."""


@dataclass(frozen=True, kw_only=True)
class KnownScene:
    """A scene as it is in the clip, or in a variant that begins with a later frame."""

    settings: SceneSettings
    truth: SceneTruth
    begins_at: int = 0
    """The scene's frame with which the video begins; after the clip's last frame its first follows."""

    def boxes(self, time_s: float) -> tuple[TruthBox, ...]:
        """The objects visible in the frame shown ``time_s`` seconds after the video's first."""
        return self.truth.at_frame(self._frame(time_s))

    def picture(self, time_s: float) -> npt.NDArray[np.uint8]:
        """That frame as it was rendered: uint8[H, W, 3] rgb24."""
        return self._scene.frame(self._frame(time_s))

    @cached_property
    def _scene(self) -> Scene:
        return Scene(self.settings)

    def _frame(self, time_s: float) -> int:
        # A hundredth of a frame for time stamps rounded down to the container's ticks.
        return (self.begins_at + int(time_s * self.settings.rate + 0.01)) % self.settings.frames

    def has_moved(self, earlier_s: float, later_s: float) -> bool:
        """Whether an object that is clearly visible in both frames has moved in the later one."""
        before, after = self.boxes(earlier_s), self.boxes(later_s)
        if [box.class_name for box in before] != [box.class_name for box in after]:
            return True  # one came or went
        return any(
            _moved(old, new)
            for old, new in zip(before, after, strict=True)
            if min(old.visible, new.visible) >= IGNORE_BELOW
        )


def _moved(old: TruthBox, new: TruthBox) -> bool:
    side = max(old.box[2] - old.box[0], old.box[3] - old.box[1])
    by = max(abs(a - b) for a, b in zip(old.box, new.box, strict=True))
    return by > max(MOVED_PX, MOVED_SHARE * side)
