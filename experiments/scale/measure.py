"""How the service scales: ``python experiments/scale/measure.py`` (about 1 h).

On the local cluster, 720p at 1 frame/s. ``length``: videos of 1, 10 and 60 minutes, 4 requests at a time, in
both modes; ``decoders``: 1 to 4 of them; ``concurrency``: 1 to 16 requests at a time. Nothing else may run
meanwhile. Of each process the private memory (resident, less pages with a file or shared memory behind them)
is read twice a second; that of the object store is the trial's own. The numbers are written to
``result.json`` beside this file; README.md quotes it.
"""

import argparse
import json
import random
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from vbench.linux import procfs
from vbench.record.files import read_samples, read_trial
from vbench.run.commands import run_trial
from vbench.telemetry import environment

HERE = Path(__file__).resolve().parent
MODES = ("chunked", "combined")
LENGTHS_MIN = {1: 12, 10: 4, 60: 4}
"""Minutes of video, and how many requests."""
DECODERS = (1, 2, 3, 4)
CONCURRENCY = (1, 2, 4, 8, 16)
LONGEST_S = 3600
SAMPLE_S = 0.5

ROLES = {
    "VideoProcessingAPI": "API",
    "VideoProcessingService": "service",
    "VideoDecoder": "decoder",
    "ModelInference": "model",
    "vbench.load": "client",
    "raylet/raylet": "raylet",
    "ffmpeg": "FFmpeg",
}
"""What a process has in its command line -> what it is."""

STORE_MB = {"chunked": 2048, "combined": 8000}
"""Of the node. In combined mode it holds all frames of an hour, 3600 x 640 x 360 x 3 bytes = 2.5 GB, of two
requests at a time, since Ray spills above 80% of it: the other two wait."""


class MemoryWatch:
    """The most private memory that any process of each role had."""

    def __init__(self, root: int) -> None:
        self._root = root
        self.peak_mb: dict[str, float] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look twice a second, until the block ends."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(SAMPLE_S):
                self._look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _look(self) -> None:
        for pid in procfs.descendants(procfs.all_stats(), [self._root]):
            line = " ".join(procfs.command(pid))
            role = next((role for part, role in ROLES.items() if part in line), None)
            if role is not None:
                found_mb = procfs.private_bytes(pid) / 1e6
                self.peak_mb[role] = max(found_mb, self.peak_mb.get(role, 0.0))


def measure(outputs: Path, *overrides: str) -> dict[str, Any]:
    """One trial: its times, its rates, and the memory that it took."""
    watches: list[MemoryWatch] = []

    @contextmanager
    def watching(root: int) -> Iterator[None]:
        watches.append(MemoryWatch(root))
        with watches[0].running():
            yield

    folder = run_trial(outputs, *overrides, longest_s=LONGEST_S, watching=watching)
    trial, nodes = read_trial(folder), read_samples(folder)
    return {
        "valid": trial.valid,
        "broken_rules": [rule.name for rule in trial.broken],
        "requests": trial.metrics["requests"],
        "makespan_s": trial.metrics["makespan_s"],
        "latency_mean_s": trial.metrics["latency_mean_s"],
        "frames_per_s": trial.metrics["throughput_frames_per_s"],
        "video_s_per_s": trial.metrics["throughput_video_s_per_s"],
        "object_store_peak_mb": max(sample.object_store_used_mb for sample in nodes),
        "spilled_mb": max(sample.spilled_mb for sample in nodes),
        "private_peak_mb": dict(sorted(watches[0].peak_mb.items())),
    }


def length(outputs: Path, minutes: int, mode: str) -> dict[str, Any]:
    """Videos of so many minutes, 4 at a time."""
    return measure(
        outputs,
        f"mode={mode}",
        f"video.scene.length_s={60 * minutes}",
        f"load.requests={LENGTHS_MIN[minutes]}",
        "load.concurrency=4",
        "load.warmup=1" if minutes > 1 else "load.warmup=4",
        f"load.timeout_s={LONGEST_S}",
        f"cluster.nodes.head.object_store_mb={STORE_MB[mode]}",
    )


def decoders(outputs: Path, count: int) -> dict[str, Any]:
    """So many decoders of one CPU each, whatever the machine has."""
    return measure(
        outputs,
        "video.scene.length_s=60",
        "load.requests=24",
        "load.concurrency=8",
        f"cluster.nodes.head.cpus={count}",
        f"cluster.deployments.decoder.replicas={count}",
        "cluster.deployments.inference.replicas=1",
    )


def concurrency(outputs: Path, at_a_time: int) -> dict[str, Any]:
    """So many requests at a time."""
    return measure(outputs, "video.scene.length_s=60", "load.requests=32", f"load.concurrency={at_a_time}")


def in_rounds(name: str, cells: dict[str, Any], rounds: int, outputs: Path) -> dict[str, Any]:
    """Each cell once a round, in random order."""
    draw = random.Random(1)
    taken: dict[str, list[dict[str, Any]]] = {cell: [] for cell in cells}
    for number in range(rounds):
        for cell in draw.sample(list(cells), len(cells)):
            each = cells[cell](outputs)
            taken[cell].append(each)
            print(
                f"{name}  round {number + 1}  {cell:<18} {each['frames_per_s']:5.1f} frames/s,"
                f" {'valid' if each['valid'] else each['broken_rules']}",
                flush=True,
            )
    return {
        cell: {
            "frames_per_s": statistics.median(each["frames_per_s"] for each in runs),
            "latency_mean_s": statistics.median(each["latency_mean_s"] for each in runs),
            "rounds": runs,
        }
        for cell, runs in taken.items()
    }


def main() -> None:
    """Measure what is asked for, and keep what else the result had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("length", "decoders", "concurrency"))
    parser.add_argument("--rounds", type=int, default=3, help="of decoders and concurrency")
    options = parser.parse_args()
    parts: dict[str, tuple[int, dict[str, Any]]] = {
        "length": (
            1,
            {
                f"{minutes} min {mode}": partial(length, minutes=minutes, mode=mode)
                for mode in MODES
                for minutes in LENGTHS_MIN
            },
        ),
        "decoders": (
            options.rounds,
            {str(count): partial(decoders, count=count) for count in DECODERS},
        ),
        "concurrency": (
            options.rounds,
            {str(count): partial(concurrency, at_a_time=count) for count in CONCURRENCY},
        ),
    }
    path = HERE / "result.json"
    result: dict[str, Any] = json.loads(path.read_text()) if options.only and path.exists() else {}
    with tempfile.TemporaryDirectory(prefix="vbench-study-") as folder:
        for name, (rounds, cells) in parts.items():
            if options.only in (None, name):
                result[name] = {
                    "environment": environment.describe(),
                    "taken": environment.now(),
                    "cells": in_rounds(name, cells, rounds, Path(folder)),
                }
                path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
