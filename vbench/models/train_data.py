"""Training frames for ``shapes``: scenes encoded as H.264, decoded at the network's size, as in service."""

import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vbench.models.shapes_net import HEIGHT, WIDTH
from vbench.video.errors import VideoError
from vbench.video.ffmpeg import ffmpeg_path
from vbench.video.scene import SceneSettings, ensure_clip, load_truth
from vbench.video.scene_shapes import SHAPES

CLASS_NAMES = tuple(SHAPES)
TRAIN_SEED = 10**6
"""First seed of the scenes trained on."""
UNSEEN_SEED = 9 * 10**6
"""First seed of the scenes that are only evaluated on."""
SIZES = ((1280, 720), (1280, 720), (1920, 1080), (640, 360))
SCALERS = ("bicubic", "bicubic", "bilinear", "area")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One decoded frame and what is to be seen in it, in pixels of that frame."""

    pixels: npt.NDArray[np.uint8]
    """uint8[360, 640, 3] rgb24."""
    classes: npt.NDArray[np.int64]
    """int64[M]."""
    boxes: npt.NDArray[np.float32]
    """float32[M, 4]: x1, y1, x2, y2."""
    visible: npt.NDArray[np.float32]
    """float32[M], 0 to 1."""


def draw_settings(index: int, frames: int) -> SceneSettings:
    """Draw the settings of training scene ``index``: sizes, rates, qualities and crowds of all kinds."""
    rng = np.random.default_rng([TRAIN_SEED, index])
    width, height = SIZES[rng.integers(len(SIZES))]
    # Slow rates show more of a scene's life in a few frames, at a like number of bits each.
    fps = int(rng.choice([1, 3, 30]))
    return SceneSettings(
        width=width,
        height=height,
        fps=str(fps),
        length_s=frames / fps,
        unique_s=frames / fps,
        gop_s=frames / fps,
        seed=TRAIN_SEED + index,
        objects=int(rng.integers(8, 25)),
        crf=int(rng.integers(18, 33)),
        audio=False,
    )


def make_samples(scenes: int, frames: int, workers: int) -> Iterator[list[Sample]]:
    """Yield the frames of each of ``scenes`` training scenes, made by ``workers`` processes."""
    if workers <= 1:
        yield from map(partial(_make, frames), range(scenes))
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(partial(_make, frames), range(scenes), chunksize=4)


def decode_clip(clip: Path, scaler: str = "bicubic") -> npt.NDArray[np.uint8]:
    """Decode every frame with FFmpeg, scaled to the network's size: uint8[K, 360, 640, 3] rgb24."""
    command = [
        *(ffmpeg_path(), "-v", "error", "-nostdin", "-xerror", "-threads", "1"),
        *("-i", f"file:{clip}", "-fps_mode", "passthrough", "-vf", f"scale={WIDTH}:{HEIGHT}:flags={scaler}"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"),
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()[-500:]
        raise VideoError(f"FFmpeg could not decode {clip} (exit status {done.returncode}): {words}")
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)


def _make(frames: int, index: int) -> list[Sample]:
    settings = draw_settings(index, frames)
    with tempfile.TemporaryDirectory() as name:
        clip = ensure_clip(settings, Path(name))
        pixels = decode_clip(clip, SCALERS[index % len(SCALERS)])
        truth = load_truth(clip)
    scale = np.float32(HEIGHT / settings.height)
    return [
        Sample(
            pixels=picture,
            classes=np.array([CLASS_NAMES.index(b.class_name) for b in boxes], np.int64),
            boxes=np.array([b.box for b in boxes], np.float32).reshape(-1, 4) * scale,
            visible=np.array([b.visible for b in boxes], np.float32),
        )
        for picture, boxes in zip(pixels, truth.frames, strict=True)
    ]
