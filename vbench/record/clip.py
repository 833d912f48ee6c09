"""The video of a trial, and what was checked of its reference pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The video of a trial."""

    path: str
    fingerprint: str
    """xxh3-128 of the file."""
    codec: str
    width: int
    height: int
    duration_s: float
    size_bytes: int
    frames_expected: int
    """Frames that a right answer holds."""
    reference: str
    """File of the reference pass."""
    ffmpeg: str
    """Version of the FFmpeg that decodes."""
    reference_map50: float | None
    """mAP at IoU 0.5 of the reference pass against the scene's ground truth; None for other videos."""
    address: str | None = None
    """Where services fetch it from, with each request anew; None: they read ``path``."""
    detector: str | None = None
    """64 hex digits of the reference pass's detector: settings and weights; None in records of before."""
    served_detector: str | None = None
    """The same of the detector that replicas must have; None in records of before."""
    variants: Sequence[Mapping[str, str]] = ()
    """The same pictures from another keyframe on: path, fingerprint and reference of each. Requests ask for
    the clip and these in turn, so that no two in a row are the same."""
    compute_s: Mapping[str, float] = field(default_factory=dict)
    """Stage -> CPU seconds per frame over a replica's threads, measured before the trial; empty if its nodes
    are other machines."""
    periods_filled: int | None = None
    """Periods of 1/fps s, from the first picture on, in which the container has a picture; None in records of
    earlier versions."""
    checks: Sequence["ReferenceChecks"] = ()
    """Of the clip's reference pass and of each variant's; empty in records of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceChecks:
    """Some frames of one reference pass, held against what neither it nor the service had a part in."""

    video: str
    """Fingerprint of the clip or the variant."""
    plain_frames: int
    """Frames in which a second, plain implementation of the detector searched too; 0 for other detectors."""
    plain_objects: int
    """Objects in them, of whichever found more."""
    plain_wrong: int
    """Objects that one of the two did not find, or found elsewhere or with another score."""
    plain_first: str
    """The first of these, in words; empty if there are none."""
    frames_moved: int | None
    """Sampled frames of a scene in which objects have moved since the one before; None for other videos."""
    frames_repeated: int | None
    """Of these, frames whose detections are to the bit those of the frame before."""
    pictures: int
    """Frames of a scene whose pixels were compared; 0 for other videos."""
    likeness: float | None
    """Of these the least correlation of coarse luma with the picture that was rendered; 1 is the same."""
    detail: float | None
    """RMS of the detail, in levels of luma, that a picture of half the resolution would lack."""
    detail_lost: float | None
    """RMS of what of this detail is missing or wrong, as a share of it: 0 is none."""
    levels_share: float | None
    """Levels of brightness in the frames, as a share of those in the pictures that a plain decoder gives."""
