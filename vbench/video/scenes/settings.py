"""What a synthetic scene is made of: its settings, checked, and the numbers that follow from them."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from fractions import Fraction

from vbench.video.exact_number import frame_rate

RENDERER_VERSION = 1
"""Part of every fingerprint: raise it whenever the same settings would give other pictures."""

MIN_SIDE_PX = 64
MAX_SIDE_PX = 8192
MAX_OBJECTS = 120
MAX_CRF = 51


@dataclass(kw_only=True)
class SceneOptions:
    """A synthetic scene; equal values give the same video. The section ``video.scene`` of a configuration."""

    width: int = 1280
    """Pixels, even."""
    height: int = 720
    """Pixels, even."""
    fps: str = "30"
    """Frame rate; a number or a fraction such as 30000/1001."""
    length_s: float = 20.0
    """Length of the video, in seconds."""
    unique_s: float = 10.0
    """Length of the rendered part, in seconds; a longer video repeats it."""
    gop_s: float = 2.0
    """Seconds between keyframes."""
    objects: int = 16
    """Number of moving shapes."""
    seed: int = 1
    """Seed of the scene."""
    crf: int = 23
    """Quality of the H.264 encoder: 0 (lossless) to 51."""


@dataclass(kw_only=True, unsafe_hash=True)
class SceneSettings(SceneOptions):
    """A synthetic scene and the clip made from it; equal settings give equal pictures.

    Raises ValueError, one sentence that names the setting, its value and what would do.
    """

    seed: int = 0
    bframes: int = 2
    """B-frames between two other frames at most; 0 for low-latency streams."""
    open_gop: bool = False
    """Whether B-frames may refer across a keyframe."""
    audio: bool = True
    """Whether the clip has an AAC track, as real videos do."""

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("height", self.height)):
            if value % 2 or not MIN_SIDE_PX <= value <= MAX_SIDE_PX:
                raise ValueError(
                    f"scene {name} {value} cannot be encoded as 4:2:0: use an even number of pixels "
                    f"from {MIN_SIDE_PX} to {MAX_SIDE_PX}"
                )
        rate = _rate(self.fps)
        for name, seconds in (
            ("length_s", self.length_s),
            ("unique_s", self.unique_s),
            ("gop_s", self.gop_s),
        ):
            if not math.isfinite(seconds) or round(Fraction(seconds) * rate) < 1:
                raise ValueError(
                    f"scene {name} {seconds} holds no frame at {self.fps} frames/s: "
                    f"take {float(1 / rate):.4g} s or more"
                )
        _require_between("objects", self.objects, 0, MAX_OBJECTS)
        _require_between("crf", self.crf, 0, MAX_CRF)
        _require_between("bframes", self.bframes, 0, 16)
        _require_between("seed", self.seed, 0, 2**63 - 1)
        if self.open_gop and self.bframes == 0:
            raise ValueError("scene open_gop needs B-frames: use bframes 1 or more, or open_gop false")

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return _rate(self.fps)

    @property
    def frames(self) -> int:
        """Frames in the clip."""
        return round(Fraction(self.length_s) * self.rate)

    @property
    def unique_frames(self) -> int:
        """Frames after which the scene repeats; at most ``frames``."""
        return min(self.frames, round(Fraction(self.unique_s) * self.rate))

    @property
    def gop_frames(self) -> int:
        """Frames from one keyframe to the next."""
        return round(Fraction(self.gop_s) * self.rate)

    @property
    def fingerprint(self) -> str:
        """32 hex digits of the settings and the renderer's version: names the clip in a cache."""
        facts = {"renderer": RENDERER_VERSION, **asdict(self)}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _rate(fps: str) -> Fraction:
    try:
        return frame_rate(fps)
    except ValueError as error:
        raise ValueError(f"scene fps {error}") from error


def _require_between(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"scene {name} {value} is outside {low} to {high}")
