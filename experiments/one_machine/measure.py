"""Measures what a user of one machine experiences: ``python experiments/one_machine/measure.py`` (about 15
min).

Nothing else may run meanwhile. Runs the real commands, each in a fresh outputs folder, and writes all values
to ``result.json`` next to this file, which README.md quotes.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.commands import timed
from experiments.lib.results import conditions, read_result, write_result
from vbench.config.checkout import ROOT
from vbench.linux import procfs
from vbench.record.files import read_trial
from vbench.video.scene import ensure_clip
from vbench.video.scenes.settings import SceneSettings

HERE = Path(__file__).resolve().parent


def measure_help(runs: int) -> dict[str, Any]:
    """Wall-clock seconds of ``--help``."""
    times = [timed([sys.executable, "-m", "vbench", "--help"])[0] for _ in range(runs)]
    return {"wall_s": times, "median_s": statistics.median(times)}


def measure_bench(runs: int) -> dict[str, Any]:
    """Wall-clock seconds of ``make bench`` in an existing environment without caches, and of its measured
    part."""
    trials: list[dict[str, Any]] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="vbench-study-") as outputs:
            wall_s, _ = timed(["make", "bench", f"ARGS=outputs={outputs}"])
            (path,) = Path(outputs, "runs").glob("*/trial.json")
            trial = read_trial(path.parent)
        trials.append(
            {
                "wall_s": wall_s,
                "measured_s": trial.metrics["makespan_s"],
                "measured_share": trial.metrics["makespan_s"] / wall_s,
                "valid": trial.valid,
                "phases_s": dict(trial.phases_s),
                "latency_mean_s": trial.metrics["latency_mean_s"],
                "throughput_video_s_per_s": trial.metrics["throughput_video_s_per_s"],
            }
        )
    return {
        "runs": trials,
        "median_wall_s": statistics.median(trial["wall_s"] for trial in trials),
        "median_measured_share": statistics.median(trial["measured_share"] for trial in trials),
    }


def measure_interrupts(runs: int, seed: int) -> dict[str, Any]:
    """Ctrl-C and ``kill -9`` at random times (from ``seed``): seconds until nothing is left."""
    draw = random.Random(seed)
    interrupts = []
    for number in range(runs):
        signal_sent = signal.SIGINT if number % 2 == 0 else signal.SIGKILL
        after_s = draw.uniform(0.2, 45)
        with tempfile.TemporaryDirectory(prefix="vs", dir="/tmp") as temp:
            outputs = Path(temp) / "outputs"
            inner = Path(temp) / "t"
            inner.mkdir()
            run = subprocess.Popen(
                [sys.executable, "-m", "vbench", f"outputs={outputs}", "tracking=off", "load.requests=9999"],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(inner)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(timeout=after_s)
            before = procfs.process_tree("of no guard", run.pid)
            run.send_signal(signal_sent)
            run.wait(timeout=60)
            start_s = time.monotonic()
            while time.monotonic() - start_s < 30 and (_running(before) or any(inner.iterdir())):
                time.sleep(0.05)
            interrupts.append(
                {
                    "signal": signal_sent.name,
                    "after_s": after_s,
                    "processes_then": len(before),
                    "left_processes": len(_running(before)),
                    "left_files": len(list(inner.iterdir())),
                    "gone_after_exit_s": time.monotonic() - start_s,
                }
            )
    return {
        "runs": interrupts,
        "runs_that_left_anything": sum(bool(r["left_processes"] or r["left_files"]) for r in interrupts),
    }


def _running(pids: list[int]) -> list[int]:
    return [pid for pid in pids if (line := procfs.stat(pid)) and line.state not in "ZX"]


def measure_hour() -> dict[str, Any]:
    """Wall-clock seconds to make a one-hour 1080p clip with its ground truth."""
    with tempfile.TemporaryDirectory(prefix="vbench-study-") as folder:
        start_s = time.monotonic()
        settings = SceneSettings(width=1920, height=1080, length_s=3600, unique_s=10)
        clip = ensure_clip(settings, Path(folder))
        return {"wall_s": time.monotonic() - start_s, "size_mb": clip.stat().st_size / 1e6}


STUDIES = ("help", "bench", "interrupts", "hour")


def main() -> None:
    """Run the requested measurements; write the result after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=STUDIES)
    parser.add_argument("--runs", type=int, default=3, help="runs of make bench (default: %(default)s)")
    parser.add_argument("--interrupts", type=int, default=10)
    options = parser.parse_args()
    path = HERE / "result.json"
    result = {**read_result(path), **conditions()}
    for name in options.only:
        print(f"measuring {name}", flush=True)
        if name == "help":
            result[name] = measure_help(9)
        elif name == "bench":
            result[name] = measure_bench(options.runs)
        elif name == "interrupts":
            result[name] = measure_interrupts(options.interrupts, seed=1)
        else:
            result[name] = measure_hour()
        write_result(path, result)
        print(json.dumps(result[name], indent=1)[:1500], flush=True)


if __name__ == "__main__":
    main()
