"""Compares the service with one plain process: ``python experiments/efficiency/measure.py`` (25 min).

Nothing else may run meanwhile. Each round measures each video in each mode once, in random order: a trial on
the local cluster, and directly afterwards ``vbench efficiency`` on its record. Writes
``result.json`` next to this file, which README.md quotes. Further arguments are overrides for the trials,
such as ``pipeline.window=8``.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.commands import run_trial, timed
from experiments.lib.results import conditions, write_result

HERE = Path(__file__).resolve().parent

CELLS = {
    "720p": {"width": 1280, "height": 720, "length_s": 20, "chunk_s": 5, "requests": 32},
    "1080p": {"width": 1920, "height": 1080, "length_s": 20, "chunk_s": 5, "requests": 16},
    "720p, long": {"width": 1280, "height": 720, "length_s": 60, "chunk_s": 15, "requests": 12},
}
"""Videos, and the requests that take 15 to 20 s on two cores. The long video separates the cost per call from
the cost per frame: it has three times the frames per chunk and per request."""


def measure(video: str, mode: str, outputs: Path, overrides: list[str]) -> dict[str, Any]:
    """One trial, and the throughput of one plain process directly afterwards."""
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
    result: dict[str, Any] = json.loads(numbers.read_text())
    return {key: value for key, value in result.items() if key not in ("trial", "arm")}


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over rounds; ratios are taken within a round."""
    ratios = [trial["service_over_ceiling"] for trial in rounds]
    return {
        "service_frames_per_s": statistics.median(trial["service_frames_per_s"] for trial in rounds),
        "ceiling_frames_per_s": statistics.median(trial["ceiling_frames_per_s"] for trial in rounds),
        "service_over_ceiling": statistics.median(ratios),
        "service_over_ceiling_range": [min(ratios), max(ratios)],
        "all_valid": all(trial["valid"] for trial in rounds),
        "rounds": rounds,
    }


def main() -> None:
    """Measure all videos in both modes; write the result after each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--videos", nargs="+", choices=CELLS, default=list(CELLS))
    options, overrides = parser.parse_known_args()
    draw = random.Random(1)
    cells = [(video, mode) for video in options.videos for mode in ("chunked", "combined")]
    trials: dict[tuple[str, str], list[dict[str, Any]]] = {cell: [] for cell in cells}
    result: dict[str, Any] = {**conditions(), "overrides": overrides}
    with tempfile.TemporaryDirectory(prefix="vbench-study-") as folder:
        for number in range(options.rounds):
            for video, mode in draw.sample(cells, len(cells)):
                trial = measure(video, mode, Path(folder), overrides)
                trials[video, mode].append(trial)
                print(
                    f"round {number + 1}  {video:<10} {mode:<9} service {trial['service_frames_per_s']:5.1f}"
                    f" frames/s, plain process {trial['ceiling_frames_per_s']:5.1f}:"
                    f" {100 * trial['service_over_ceiling']:.0f}%",
                    flush=True,
                )
            result["cells"] = {f"{video}, {mode}": summary(trials[video, mode]) for video, mode in cells}
            write_result(HERE / "result.json", result)


if __name__ == "__main__":
    main()
