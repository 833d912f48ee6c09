"""Synthetic clips with ground truth: renders a scene once, encodes it as H.264, and caches both."""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vbench.video.cache import Warn, is_intact, store
from vbench.video.errors import VideoError
from vbench.video.scenes.encode import encode_audio, encode_video, join
from vbench.video.scenes.render import Scene
from vbench.video.scenes.settings import SceneSettings
from vbench.video.types import TruthBox

__all__ = ["Scene", "SceneSettings", "SceneTruth", "clip_path", "ensure_clip", "load_truth", "truth_path"]

Progress = Callable[[int, int], None]
"""Called with the frames rendered so far and the frames to render."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneTruth:
    """The objects in each frame of a clip."""

    rate: Fraction
    """Frames per second."""
    frames: tuple[tuple[TruthBox, ...], ...]
    """Boxes of each frame of the part that the clip repeats to its end."""

    def at_frame(self, i: int) -> tuple[TruthBox, ...]:
        """Boxes in frame ``i`` >= 0 of the clip, from the rearmost object to the front."""
        return self.frames[i % len(self.frames)]

    def at_time(self, time_s: float) -> tuple[TruthBox, ...]:
        """Boxes in the frame that is presented ``time_s`` >= 0 seconds after the first frame."""
        # A hundredth of a frame more, for timestamps rounded down to the container's ticks.
        return self.at_frame(int(time_s * self.rate + 0.01))


def clip_path(settings: SceneSettings, cache_dir: Path) -> Path:
    """The path at which ``ensure_clip`` stores the clip."""
    return cache_dir / f"scene-{settings.width}x{settings.height}-{settings.fingerprint[:16]}.mp4"


def truth_path(clip: Path) -> Path:
    """The file with the ground truth of a clip, next to it."""
    return clip.with_suffix(".truth.json")


def load_truth(clip: Path) -> SceneTruth:
    """Read the ground truth of a clip made by ``ensure_clip``; VideoError if it is missing or damaged."""
    path = truth_path(clip)
    try:
        facts = json.loads(path.read_text())
        frames = tuple(
            tuple(TruthBox(class_name=name, box=tuple(box), visible=visible) for name, box, visible in frame)
            for frame in facts["frames"]
        )
        return SceneTruth(rate=Fraction(facts["fps"]), frames=frames)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VideoError(
            f"{path} has no ground truth: delete {clip}, so that ensure_clip makes both again"
        ) from error


def ensure_clip(
    settings: SceneSettings, cache_dir: Path, progress: Progress | None = None, warn: Warn | None = None
) -> Path:
    """The scene's clip, made first unless ``cache_dir`` has it as it was written there.

    The clip is an MP4 (faststart) with H.264 yuv420p, BT.709, and with an AAC track if ``audio`` is set. Its
    ground truth is stored next to it. Both are written under other names and moved, the clip last, so neither
    a kill nor a second process leaves half a file. The same settings and FFmpeg give the same bytes.

    Args:
        settings: of the scene.
        cache_dir: folder for clips, created if missing.
        progress: called with the frames rendered so far and the frames to render.
        warn: receives a sentence about a cached file that was replaced.

    Raises:
        VideoError: FFmpeg cannot encode, with its last messages.
    """
    clip = clip_path(settings, cache_dir)
    if is_intact(clip, settings.fingerprint, warn) and is_intact(
        truth_path(clip), settings.fingerprint, warn
    ):
        return clip
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=cache_dir) as name:
        work = Path(name)
        scene = Scene(settings)
        loops, rest = divmod(settings.frames, settings.unique_frames)
        boxes: list[list[TruthBox]] = []
        encode_video(settings, _render(scene, boxes, progress), work / "base.mp4")
        pieces = [(work / "base.mp4", settings.unique_frames)] * loops
        if rest:
            # Cutting the stream instead would remove frames that the remaining B-frames refer to.
            encode_video(settings, map(scene.frame, range(rest)), work / "rest.mp4")
            pieces.append((work / "rest.mp4", rest))
        if settings.audio:
            encode_audio(settings, work / "audio.mp4")
        join(settings, pieces, work / "audio.mp4" if settings.audio else None, work / "clip.mp4")
        _write_truth(settings, boxes, work / "truth.json")
        store(work / "truth.json", truth_path(clip), settings.fingerprint)
        store(work / "clip.mp4", clip, settings.fingerprint)
    return clip


def _render(
    scene: Scene, boxes: list[list[TruthBox]], progress: Progress | None
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the pictures of the unique part, and append their truth to ``boxes``."""
    frames = scene.settings.unique_frames
    for i in range(frames):
        picture, truth = scene.render(i)
        boxes.append(truth)
        if progress:
            progress(i + 1, frames)
        yield picture


def _write_truth(settings: SceneSettings, boxes: list[list[TruthBox]], out: Path) -> None:
    facts = {
        "settings": asdict(settings),
        "fps": str(settings.rate),
        "frames": [[(b.class_name, b.box, round(b.visible, 4)) for b in frame] for frame in boxes],
    }
    out.write_text(json.dumps(facts, separators=(",", ":")))
