"""How near the service comes to one plain process: ``python experiments/efficiency/measure.py`` (25 min).

Nothing else may run meanwhile. In each round, each video and mode is measured once, in random order: a trial
of the real command on the local cluster, and right after it ``python -m vbench efficiency`` on its record.
The numbers are written to ``result.json`` beside this file; README.md quotes it. Further arguments are
overrides for the trials, such as ``pipeline.window=8``.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from vbench.run.commands import run_trial, timed
from vbench.telemetry import environment

HERE = Path(__file__).resolve().parent

CELLS = {
    "720p": {"width": 1280, "height": 720, "length_s": 20, "chunk_s": 5, "requests": 32},
    "1080p": {"width": 1920, "height": 1080, "length_s": 20, "chunk_s": 5, "requests": 16},
    "720p, long": {"width": 1280, "height": 720, "length_s": 60, "chunk_s": 15, "requests": 12},
}
"""Videos, and how many requests make a measured time of 15 to 20 s on two cores. The long one tells what
a call costs from what a frame costs: three times the frames in a chunk, and in a request."""


def measure(video: str, mode: str, outputs: Path, overrides: list[str]) -> dict[str, Any]:
    """One trial, and the machine's ceiling right after it."""
    cell = CELLS[video]
    folder = run_trial(
        outputs,
        f"mode={mode}",
        *(f"video.scene.{key}={cell[key]}" for key in ("width", "height", "length_s")),
        f"pipeline.chunk_s={cell['chunk_s']}",
        f"load.requests={cell['requests']}",
        *overrides,
    )
    numbers = outputs / "numbers.json"
    timed([sys.executable, "-m", "vbench", "efficiency", str(folder), "--out", str(numbers)])
    found: dict[str, Any] = json.loads(numbers.read_text())
    return {key: value for key, value in found.items() if key not in ("trial", "arm")}


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over rounds; the ratio is taken within each."""
    ratios = [each["service_over_ceiling"] for each in rounds]
    return {
        "service_frames_per_s": statistics.median(each["service_frames_per_s"] for each in rounds),
        "ceiling_frames_per_s": statistics.median(each["ceiling_frames_per_s"] for each in rounds),
        "service_over_ceiling": statistics.median(ratios),
        "service_over_ceiling_range": [min(ratios), max(ratios)],
        "all_valid": all(each["valid"] for each in rounds),
        "rounds": rounds,
    }


def main() -> None:
    """Measure all videos in both modes, and write the result after each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--videos", nargs="+", choices=CELLS, default=list(CELLS))
    options, overrides = parser.parse_known_args()
    draw = random.Random(1)
    cells = [(video, mode) for video in options.videos for mode in ("chunked", "combined")]
    taken: dict[tuple[str, str], list[dict[str, Any]]] = {cell: [] for cell in cells}
    result: dict[str, Any] = {
        "environment": environment.describe(),
        "taken": environment.now(),
        "overrides": overrides,
    }
    with tempfile.TemporaryDirectory(prefix="vbench-study-") as folder:
        for number in range(options.rounds):
            for video, mode in draw.sample(cells, len(cells)):
                each = measure(video, mode, Path(folder), overrides)
                taken[video, mode].append(each)
                print(
                    f"round {number + 1}  {video:<10} {mode:<9} service {each['service_frames_per_s']:5.1f}"
                    f" frames/s, plain process {each['ceiling_frames_per_s']:5.1f}:"
                    f" {100 * each['service_over_ceiling']:.0f}%",
                    flush=True,
                )
            result["cells"] = {f"{video}, {mode}": summary(taken[video, mode]) for video, mode in cells}
            (HERE / "result.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
