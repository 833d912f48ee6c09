"""How near the service comes to one plain process: ``python experiments/efficiency/measure.py`` (25 min).

Nothing else may run meanwhile. In each round, each video size and mode is measured once, in random order: a
trial of the real command on the local cluster, and right after it ``python -m vbench.limits`` on its record.
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

from vbench import environment
from vbench.studies import run_trial, timed

HERE = Path(__file__).resolve().parent

SIZES = {"720p": (1280, 720, 32), "1080p": (1920, 1080, 16)}
"""Width, height, and how many requests of 20 s of video make a measured time of some 30 s on two cores."""


def measure(size: str, mode: str, outputs: Path, overrides: list[str]) -> dict[str, Any]:
    """One trial, and the machine's ceiling right after it."""
    width, height, requests = SIZES[size]
    folder = run_trial(
        outputs,
        f"mode={mode}",
        f"video.scene.width={width}",
        f"video.scene.height={height}",
        f"load.requests={requests}",
        *overrides,
    )
    numbers = outputs / "numbers.json"
    timed([sys.executable, "-m", "vbench.limits", str(folder), "--out", str(numbers)])
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
    """Measure all sizes and modes, and write the result after each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    options, overrides = parser.parse_known_args()
    draw = random.Random(1)
    cells = [(size, mode) for size in options.sizes for mode in ("chunked", "combined")]
    taken: dict[tuple[str, str], list[dict[str, Any]]] = {cell: [] for cell in cells}
    result: dict[str, Any] = {
        "environment": environment.describe(),
        "taken": environment.now(),
        "overrides": overrides,
    }
    with tempfile.TemporaryDirectory(prefix="vbench-study-") as folder:
        for number in range(options.rounds):
            for size, mode in draw.sample(cells, len(cells)):
                each = measure(size, mode, Path(folder), overrides)
                taken[size, mode].append(each)
                print(
                    f"round {number + 1}  {size:<6} {mode:<9} service {each['service_frames_per_s']:5.1f}"
                    f" frames/s, plain process {each['ceiling_frames_per_s']:5.1f}:"
                    f" {100 * each['service_over_ceiling']:.0f}%",
                    flush=True,
                )
            result["cells"] = {f"{size} {mode}": summary(taken[size, mode]) for size, mode in cells}
            (HERE / "result.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
