"""Measures which way of running the detector is fastest: ``python experiments/detector/measure.py`` (3 min).

Uses one thread, like a replica with one CPU. Each way runs on the same frames of a scene. In each round,
every way runs once, in random order. Compiled networks need a C++ compiler. Nothing else may run meanwhile.
Writes raw values to ``result.json`` next to this file, which README.md quotes.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.results import conditions, write_result
from experiments.lib.rounds import in_rounds
from vbench.models.matching import LabelledBoxes, disagreements
from vbench.models.protocol import Detections, Detector
from vbench.models.registry import create
from vbench.models.settings import ModelSettings
from vbench.video.frames import decode_video
from vbench.video.pixel_format import PixelFormat
from vbench.video.scene import ensure_clip
from vbench.video.scenes.settings import SceneSettings
from vbench.video.types import FrameGeometry

HERE = Path(__file__).resolve().parent
FRAMES = 64
LONGEST_S = 300.0

Pictures = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Way:
    """How the detector runs, and on which frames."""

    settings: ModelSettings = field(default_factory=ModelSettings)
    pixel_format: PixelFormat = "rgb24"
    native: bool = False


DEFAULT = "fp32, channels last, batches of 8"
WAYS = {
    DEFAULT: Way(),
    "batches of 1": Way(ModelSettings(batch_size=1)),
    "batches of 4": Way(ModelSettings(batch_size=4)),
    "batches of 16": Way(ModelSettings(batch_size=16)),
    "channels first": Way(ModelSettings(channels_last=False)),
    "compiled": Way(ModelSettings(compile=True)),
    "bf16": Way(ModelSettings(precision="bf16")),
    "bf16, compiled": Way(ModelSettings(precision="bf16", compile=True)),
    "fp16": Way(ModelSettings(precision="fp16")),
    "yuv420p frames": Way(pixel_format="yuv420p"),
    "full-size frames": Way(native=True),
    "full-size yuv420p frames": Way(native=True, pixel_format="yuv420p"),
}


def decoded(clip: Path, way: Way) -> Pictures:
    """The clip's frames in the size and pixel format of this way."""

    def geometry(info: Any) -> FrameGeometry:
        if way.native:
            return FrameGeometry.native(info, way.pixel_format)
        return FrameGeometry.fitted(info.width, info.height, 640, 360, "letterbox", way.pixel_format)

    passes = decode_video(clip, fps=Fraction(30), geometry=geometry, threads=2, timeout_s=LONGEST_S)
    return np.concatenate([frames.pixels for frames in passes])[:FRAMES]


def differing(
    way: Way, detections: list[Detections], expected: list[Detections], names: Sequence[str]
) -> int:
    """Number of objects on which the two disagree, by the rule that applies to trials."""
    scale = 640 / 1920 if way.native else 1.0

    return sum(
        len(
            disagreements(
                LabelledBoxes.of(want, names),
                LabelledBoxes.of(got, names, scale),
                way.settings.score_threshold,
            )
        )
        for got, want in zip(detections, expected, strict=True)
    )


def timed(detector: Detector, frames: Pictures) -> dict[str, float]:
    """Frames per second over one run on all frames, and CPU milliseconds per frame."""
    before, began = os.times(), time.monotonic()
    detector.detect(frames)
    wall_s, after = time.monotonic() - began, os.times()
    return {
        "frames_per_s": len(frames) / wall_s,
        "cpu_ms_per_frame": 1000 * (after.user - before.user + after.system - before.system) / len(frames),
    }


def main() -> None:
    """Measure all ways and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    settings = SceneSettings(width=1920, height=1080, length_s=FRAMES / 30, unique_s=FRAMES / 30, audio=False)
    detectors: dict[str, Detector] = {}
    frames: dict[str, Pictures] = {}
    loading_s: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="vbench-study-") as folder:
        clip = ensure_clip(settings, Path(folder))
        for name, way in WAYS.items():
            began = time.monotonic()
            detectors[name] = create(way.settings)
            detectors[name].load()
            loading_s[name] = time.monotonic() - began
            frames[name] = decoded(clip, way)
    names = detectors[DEFAULT].class_names
    detections = {name: detector.detect(frames[name]) for name, detector in detectors.items()}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    draw = random.Random(1)
    for number, name in in_rounds(WAYS, options.rounds, draw):
        print(f"round {number} of {options.rounds}: {name}", flush=True)
        runs[name].append(timed(detectors[name], frames[name]))
    rows = {}
    for name, own_runs in runs.items():
        ratios = [
            one["frames_per_s"] / default["frames_per_s"]
            for one, default in zip(own_runs, runs[DEFAULT], strict=True)
        ]
        rows[name] = {
            "settings": asdict(WAYS[name]),
            "frames_per_s": statistics.median(run["frames_per_s"] for run in own_runs),
            "over_default": statistics.median(ratios),
            "over_default_range": [min(ratios), max(ratios)],
            "loading_s": loading_s[name],
            "objects": sum(len(one.classes) for one in detections[name]),
            "objects_that_differ": differing(WAYS[name], detections[name], detections[DEFAULT], names),
            "runs": own_runs,
        }
        row = rows[name]
        print(
            f"  {name:<34} {row['frames_per_s']:6.1f} frames/s  {row['over_default']:.2f} of the default"
            f"  {row['objects_that_differ']} of {row['objects']} objects differ",
            flush=True,
        )
    result = {
        **conditions(),
        "rounds": options.rounds,
        "frames": FRAMES,
        "rows": rows,
    }
    write_result(HERE / "result.json", result)


if __name__ == "__main__":
    main()
