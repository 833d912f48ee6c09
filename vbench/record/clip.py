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
    """Frames that a correct response has."""
    reference: str
    """File of the reference pass."""
    ffmpeg: str
    """Version of the FFmpeg that decodes."""
    reference_map50: float | None
    """mAP at IoU 0.5 of the reference pass against the scene's ground truth; None for other videos."""
    address: str | None = None
    """From where services fetch it, again for each request; None: they read ``path``."""
    detector: str | None = None
    """64 hex digits of the reference pass's detector: settings and weights; None in older records."""
    served_detector: str | None = None
    """The same for the detector that replicas must have; None in older records."""
    variants: Sequence[Mapping[str, str]] = ()
    """Path, fingerprint and reference of copies that begin at another keyframe, with the same pictures.
    Requests ask for the clip and these in turn, so that no two consecutive ones are the same."""
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
    """Some frames of one reference pass, compared with results that neither it nor the service produced."""

    video: str
    """Fingerprint of the clip or the variant."""
    plain_frames: int
    """Frames that a second, plain implementation of the detector processed too; 0 for other detectors."""
    plain_objects: int
    """Objects in them, by the implementation that found more."""
    plain_wrong: int
    """Objects that one of the two missed, or found elsewhere or with another score."""
    plain_first: str
    """The first of these, as text; empty if there are none."""
    frames_moved: int | None
    """Sampled frames of a scene in which objects have moved since the previous one; None for other videos."""
    frames_repeated: int | None
    """Of these, frames whose detections equal those of the previous frame bit for bit."""
    pictures: int
    """Frames of a scene whose pixels were compared; 0 for other videos."""
    likeness: float | None
    """Of these, the lowest correlation of coarse luma with the rendered picture; 1 is equal."""
    detail: float | None
    """RMS of the detail, in levels of luma, that a picture of half the resolution would lack."""
    detail_lost: float | None
    """RMS of the part of this detail that is missing or wrong, as a share of it: 0 is none."""
    levels_share: float | None
    """Brightness levels in the frames, as a share of those in a plain decoder's pictures."""
