"""Training frames for ``shapes``: scenes encoded as H.264, decoded at the network's size, as in service."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vbench.models.inputs import input_spec
from vbench.models.preprocess import to_pictures
from vbench.models.shapes_net import HEIGHT, WIDTH
from vbench.video.frames import decode_video
from vbench.video.scene import SceneSettings, ensure_clip, load_truth
from vbench.video.scenes.shapes import SHAPES
from vbench.video.types import FrameGeometry, TruthBox, VideoInfo

CLASS_NAMES = tuple(SHAPES)
TRAIN_SEED = 10**6
"""First seed of the scenes trained on."""
UNSEEN_SEED = 9 * 10**6
"""First seed of the scenes that are only evaluated on."""
SIZES = ((1280, 720), (1280, 720), (1920, 1080), (640, 360))
DECODE_TIMEOUT_S = 600.0


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
    # Fresh processes: torch's threads do not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(partial(_make, frames), range(scenes), chunksize=4)


def decode_scene(
    settings: SceneSettings, fps: Fraction, *, native: bool = False
) -> tuple[npt.NDArray[np.uint8], list[tuple[TruthBox, ...]]]:
    """Encode a scene, then decode ``fps`` frames a second at the network's size, with their truth.

    FFmpeg scales, as the pipeline has it by default; with ``native`` frames leave FFmpeg at full size, and
    the detector's own scaling follows. Returns uint8[K, 360, 640, 3] rgb24 and K frames' boxes in
    pixels of the video. ValueError where ``fps`` does not divide the scene's rate.
    """
    step = settings.rate / fps
    if step.denominator != 1:
        raise ValueError(f"{fps} frames a second are no whole step through a scene of {settings.fps}")
    with tempfile.TemporaryDirectory() as name:
        clip = ensure_clip(settings, Path(name))
        truth = load_truth(clip)
        geometry = FrameGeometry.native if native else _fitted
        batches = list(decode_video(clip, fps=fps, geometry=geometry, threads=1, timeout_s=DECODE_TIMEOUT_S))
    pixels = np.concatenate([batch.pixels for batch in batches])
    if native:
        pictures, _ = to_pictures(torch.from_numpy(pixels), input_spec("shapes"))
        pixels = pictures.permute(0, 2, 3, 1).contiguous().numpy()
    return pixels, [truth.at_frame(i * step.numerator) for i in range(len(pixels))]


def _fitted(info: VideoInfo) -> FrameGeometry:
    return FrameGeometry.fitted(info.width, info.height, WIDTH, HEIGHT, "letterbox")


def _make(frames: int, index: int) -> list[Sample]:
    torch.set_num_threads(1)
    settings = draw_settings(index, frames)
    pixels, truth = decode_scene(settings, settings.rate, native=index % 4 == 0)
    scale = np.float32(HEIGHT / settings.height)
    return [
        Sample(
            pixels=picture,
            classes=np.array([CLASS_NAMES.index(b.class_name) for b in boxes], np.int64),
            boxes=np.array([b.box for b in boxes], np.float32).reshape(-1, 4) * scale,
            visible=np.array([b.visible for b in boxes], np.float32),
        )
        for picture, boxes in zip(pixels, truth, strict=True)
    ]
