"""Shows how good and how fast ``shapes`` is: ``python -m vbench.models.evaluate``, some minutes.

Scenes of seeds it never saw are encoded as H.264, decoded and scaled by FFmpeg, and searched.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch

from vbench.models.average_precision import Precision, mean_average_precision
from vbench.models.protocol import Detections, Detector
from vbench.models.registry import create
from vbench.models.settings import ModelSettings
from vbench.models.train_data import UNSEEN_SEED, decode_scene
from vbench.video.scene import SceneSettings
from vbench.video.types import FrameGeometry, TruthBox

SIZES = ((1280, 720), (1920, 1080))
CLIP_S = 0.4
"""Short, and many: two frames of one scene say little more than one of them."""
SAMPLE_FPS = Fraction(6)
"""Frames a second that are searched: of each clip the keyframe and two that are predicted from it."""
AP_SCORE_THRESHOLD = 0.01
"""Score threshold for average precision, which ranks all detections and needs the faint ones too."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate by the command line's arguments, print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m vbench.models.evaluate", description=__doc__)
    parser.add_argument("--weights", default="bundled", help="'bundled' or a path (%(default)s)")
    parser.add_argument("--scenes", type=int, default=60, help="unseen scenes a size (%(default)s)")
    parser.add_argument("--crf", type=int, default=23, help="x264's quality (%(default)s)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--runs", type=int, default=7, help="of the speed measurement (%(default)s)")
    options = parser.parse_args(arguments)
    settings = ModelSettings(
        weights=options.weights, precision=options.precision, score_threshold=AP_SCORE_THRESHOLD
    )
    detector = create(settings)
    detector.load()
    results = {}
    frames = np.empty((0, detector.input.height, detector.input.width, 3), np.uint8)
    for width, height in SIZES:
        scenes = [unseen_settings(width, height, i, options.crf) for i in range(options.scenes)]
        results[f"{width}x{height}"], frames = evaluate(detector, scenes)
    print_table(detector.class_names, results)
    fast = create(ModelSettings(weights=options.weights, precision=options.precision))
    fast.load()
    rates = frames_per_second(fast, frames, options.runs)
    print(
        f"\n{statistics.median(rates):.1f} frames/s (median of {len(rates)} runs of {len(frames)} frames, "
        f"{min(rates):.1f} to {max(rates):.1f}; {torch.get_num_threads()} thread, batches of "
        f"{fast.input.width}x{fast.input.height} uint8 frames, pre- and post-processing included)"
    )


def unseen_settings(width: int, height: int, index: int, crf: int = 23) -> SceneSettings:
    """Settings of evaluation scene ``index``, of a seed that training never takes."""
    return SceneSettings(
        width=width,
        height=height,
        length_s=CLIP_S,
        unique_s=CLIP_S,
        seed=UNSEEN_SEED + index,
        crf=crf,
        audio=False,
    )


def evaluate(detector: Detector, scenes: Sequence[SceneSettings]) -> tuple[Precision, npt.NDArray[np.uint8]]:
    """Search ``SAMPLE_FPS`` frames a second of each scene's clip; also return the frames searched."""
    detected: list[Detections] = []
    truth: list[Sequence[TruthBox]] = []
    searched = []
    for number, settings in enumerate(scenes, 1):
        frames, boxes = decode_scene(settings, SAMPLE_FPS)
        geometry = FrameGeometry.fitted(
            settings.width, settings.height, detector.input.width, detector.input.height, detector.input.fit
        )
        for result in detector.detect(frames):
            in_source = geometry.to_source(result.boxes)
            detected.append(Detections(classes=result.classes, scores=result.scores, boxes=in_source))
        truth += boxes
        searched.append(frames)
        print(
            f"scene {number}/{len(scenes)} at {settings.width}x{settings.height}", end="\r", file=sys.stderr
        )
    return mean_average_precision(detected, truth, detector.class_names), np.concatenate(searched)


def frames_per_second(detector: Detector, frames: npt.NDArray[np.uint8], runs: int) -> list[float]:
    """Rate of ``detect`` in each of ``runs`` runs over all frames."""
    rates = []
    for _ in range(runs):
        started = time.perf_counter()
        detector.detect(frames)
        rates.append(len(frames) / (time.perf_counter() - started))
    return rates


def print_table(class_names: Sequence[str], results: dict[str, Precision]) -> None:
    """Print average precision at IoU 0.5, a row a class and a column a video size."""
    print("| AP@0.5 | " + " | ".join(results) + " |")
    print("|---|" + "---|" * len(results))
    for name in class_names:
        print(
            f"| {name} | "
            + " | ".join(f"{r.by_class.get(name, float('nan')):.4f}" for r in results.values())
            + " |"
        )
    print("| **mean** | " + " | ".join(f"**{r.mean:.4f}**" for r in results.values()) + " |")
    print("| objects | " + " | ".join(str(r.wanted) for r in results.values()) + " |")


if __name__ == "__main__":
    main()
