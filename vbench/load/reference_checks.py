"""Compares some frames of the reference pass with implementations that neither it nor the service uses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vbench.load.known_scene import KnownScene
from vbench.models.matching import NOT_FOUND, LabelledBoxes, disagreements
from vbench.pipeline.config import ModelArgs
from vbench.record.clip import ReferenceChecks
from vbench.video.cross_check.luma import Plane, decoded_luma, detail, frame_luma, rgb_luma, scaled
from vbench.video.types import FrameGeometry, VideoInfo

if TYPE_CHECKING:
    from vbench.models.plain_shapes import PlainShapes

MOST_PICTURES = 2
"""Frames whose pixels are compared, and 1 of a variant: the filters of a run treat all pictures alike."""

COARSE = (32, 18)
"""Columns and rows of the coarse pictures that are compared with the renderer's."""

AGREES: Mapping[str, tuple[float, float]] = {
    "fp32": (0.98, 0.01),
    "tf32": (0.95, 0.02),
    "fp16": (0.95, 0.02),
    "bf16": (0.8, 0.06),
}
"""Least IoU, and largest difference of scores, at which two objects are the same. On a CPU, in three sizes of
scenes and both pixel formats, the IoU was at least 0.997 in fp32, 0.983 in fp16 and 0.855 in bf16, and scores
differed by at most 0.004, 0.005 and 0.023."""


def is_checked(index: int, *, variant: bool = False) -> bool:
    """Whether a frame is in one of the pairs that are checked: 0 and 1, 4 and 5, 16 and 17, 64 and 65, ...

    Of two neighbours at least one shows a detector that leaves out every second frame. Of a variant, which
    has the clip's own pictures, the first pair is enough.
    """
    first = index & ~1
    return index < 2 or (not variant and first & (first - 1) == 0 and first.bit_length() % 2 == 1)


@dataclass(slots=True, kw_only=True)
class ReferenceChecker:
    """Checks frames of one reference pass."""

    info: VideoInfo
    fingerprint: str
    geometry: FrameGeometry
    model: ModelArgs
    known: KnownScene | None
    _frames: dict[int, npt.NDArray[np.uint8]] = field(default_factory=dict)
    """pts -> pixels, of those frames whose pixels are compared."""
    _plain: "PlainShapes | None" = None
    _compared: int = 0
    _objects: int = 0
    _wrong: int = 0
    _first: str = ""

    @property
    def is_variant(self) -> bool:
        """Whether the video begins with a later frame of the clip."""
        return self.known is not None and self.known.begins_at > 0

    def add(self, index: int, pts: int, pixels: npt.NDArray[np.uint8], observed: LabelledBoxes) -> None:
        """Check a frame for which ``is_checked`` is true; ``observed`` is in pixels of the upright picture.

        ModelError if the bundled weights are not those of the package.
        """
        if len(self._frames) < (1 if self.is_variant else MOST_PICTURES):
            self._frames[pts] = pixels
        if self.model.name != "shapes":
            return
        if self._plain is None:
            # PyTorch is imported only where frames are detected in; what drives the load compares responses.
            from vbench.models.plain_shapes import PlainShapes
            from vbench.models.shapes import BUNDLED

            self._plain = PlainShapes.of(self.model.weights, BUNDLED)
        threshold = self.model.score_threshold
        expected = _upright(self._plain.detect(pixels, threshold), self.geometry)
        min_iou, max_difference = AGREES[self.model.precision]
        wrong = disagreements(
            expected, observed, threshold, min_iou=min_iou, max_score_difference=max_difference
        )
        self._compared += 1
        self._objects += max(len(expected.names), len(observed.names))
        missing = sum(text.startswith(NOT_FOUND) for text in wrong)
        # A misplaced object counts as both missing and surplus.
        self._wrong += max(missing, len(wrong) - missing)
        self._first = self._first or (f"frame {index}: {wrong[0]}" if wrong else "")

    def result(self, moved: Sequence[bool | None], objects: Sequence[LabelledBoxes]) -> ReferenceChecks:
        """The checks; ``moved``: of each frame of the pass, whether objects moved since the one before."""
        pictures = self._pictures()
        return ReferenceChecks(
            video=self.fingerprint,
            plain_frames=self._compared,
            plain_objects=self._objects,
            plain_wrong=self._wrong,
            plain_first=self._first,
            frames_moved=sum(bool(one) for one in moved) if self.known else None,
            frames_repeated=(
                sum(
                    bool(moved[i]) and is_repeated(objects[i - 1], objects[i]) for i in range(1, len(objects))
                )
                if self.known
                else None
            ),
            pictures=len(pictures),
            likeness=_worst(pictures, min, lambda one: one.likeness),
            detail=_worst(pictures, min, lambda one: one.detail),
            detail_lost=_worst(pictures, max, lambda one: one.detail_lost),
            levels_share=_worst(pictures, min, lambda one: one.levels_share),
        )

    def _pictures(self) -> list["_Picture"]:
        if self.known is None:
            return []
        decoded = decoded_luma(Path(self.info.path), self._frames)
        return [
            _compare(pixels, self.geometry, decoded[pts], self.known.picture(self.info.time_s(pts)))
            for pts, pixels in self._frames.items()
            if pts in decoded
        ]


def is_repeated(before: LabelledBoxes, after: LabelledBoxes) -> bool:
    """Whether there are objects, and they are bit-identical to those of the frame before."""
    return (
        bool(after.names)
        and list(before.names) == list(after.names)
        and np.array_equal(before.scores, after.scores)
        and np.array_equal(before.boxes, after.boxes)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """How one frame compares."""

    likeness: float
    detail: float
    detail_lost: float
    levels_share: float


def _compare(
    pixels: npt.NDArray[np.uint8],
    geometry: FrameGeometry,
    decoded: Plane,
    rendered: npt.NDArray[np.uint8],
) -> _Picture:
    wanted = scaled(decoded, geometry.inner_width, geometry.inner_height)
    got = frame_luma(pixels, geometry)
    fine_wanted, fine_got = detail(wanted), detail(got)
    energy = float((fine_wanted**2).mean())
    levels = pixels[..., 1] if geometry.pixel_format == "rgb24" else pixels[: geometry.height]
    return _Picture(
        likeness=_correlation(scaled(got, *COARSE), scaled(rgb_luma(rendered), *COARSE)),
        detail=energy**0.5,
        detail_lost=float(((fine_wanted - fine_got) ** 2).mean() / max(energy, 1e-9)) ** 0.5,
        levels_share=len(np.unique(levels)) / len(np.unique(np.rint(np.clip(wanted, 0, 255)))),
    )


def _correlation(first: Plane, second: Plane) -> float:
    """-1 to 1; 0 if one of them is all of one value."""
    first, second = first - first.mean(), second - second.mean()
    length = float(((first**2).sum() * (second**2).sum()) ** 0.5)
    return float((first * second).sum()) / length if length else 0.0


def _worst(
    pictures: Sequence[_Picture], choose: Callable[..., float], value: Callable[[_Picture], float]
) -> float | None:
    return round(choose(map(value, pictures)), 4) if pictures else None


def _upright(observed: LabelledBoxes, geometry: FrameGeometry) -> LabelledBoxes:
    """With boxes in pixels of the upright picture."""
    boxes = observed.boxes.copy()
    for axis, pad, inner, size in (
        (0, geometry.pad_x, geometry.inner_width, geometry.source_width),
        (1, geometry.pad_y, geometry.inner_height, geometry.source_height),
    ):
        boxes[:, axis::2] = np.clip((boxes[:, axis::2] - pad) * size / inner, 0, size)
    return LabelledBoxes(names=observed.names, scores=observed.scores, boxes=boxes)
