"""Measures how the service scales: ``python experiments/scale/measure.py`` (about 1 h).

On the local cluster, with 720p video sampled at 1 frame/s. ``length``: videos of 1, 10 and 60 minutes, 4
requests in flight, both modes. ``decoders``: 1 to 4 decoders. ``concurrency``: 1 to 16 requests in flight.
Nothing else may run meanwhile. Samples the private memory of each process (resident, without file-backed and
shared pages) twice per second; the object store's memory is in the trial's record. Writes ``result.json``
next to this file, which README.md quotes.
"""

import argparse
import random
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.commands import run_trial
from experiments.lib.results import conditions, read_result, write_result
from experiments.lib.rounds import in_rounds
from vbench.linux import procfs
from vbench.record.files import read_samples, read_trial

HERE = Path(__file__).resolve().parent
MODES = ("chunked", "combined")
LENGTHS_MIN = {1: 12, 10: 4, 60: 4}
"""Minutes of video -> number of requests."""
DECODERS = (1, 2, 3, 4)
CONCURRENCY = (1, 2, 4, 8, 16)
TIMEOUT_S = 3600
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
"""Part of a process's command line -> its role."""

STORE_MB = {"chunked": 2048, "combined": 8000}
"""Object store of the node. In combined mode it has room for all frames of two one-hour requests (3600 x 640
x 360 x 3 bytes = 2.5 GB each), since Ray spills above 80% of it; the other two requests wait."""


class MemoryWatch:
    """Peak private memory over all processes of each role."""

    def __init__(self, root: int) -> None:
        self._root = root
        self.peak_mb: dict[str, float] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample every ``SAMPLE_S`` seconds until the block ends."""
        done = threading.Event()

        def sample_until_done() -> None:
            while not done.wait(SAMPLE_S):
                self._sample()

        thread = threading.Thread(target=sample_until_done)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _sample(self) -> None:
        for pid in procfs.descendants(procfs.all_stats(), [self._root]):
            line = " ".join(procfs.command(pid))
            role = next((role for part, role in ROLES.items() if part in line), None)
            if role is not None:
                private_mb = procfs.private_bytes(pid) / 1e6
                self.peak_mb[role] = max(private_mb, self.peak_mb.get(role, 0.0))


def measure(outputs: Path, *overrides: str) -> dict[str, Any]:
    """One trial: its latency, throughput and memory."""
    watches: list[MemoryWatch] = []

    @contextmanager
    def watch(root: int) -> Iterator[None]:
        watches.append(MemoryWatch(root))
        with watches[0].running():
            yield

    folder = run_trial(outputs, *overrides, timeout_s=TIMEOUT_S, watch=watch)
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
    """Videos of ``minutes`` minutes, 4 requests in flight."""
    return measure(
        outputs,
        f"mode={mode}",
        f"video.scene.length_s={60 * minutes}",
        f"load.requests={LENGTHS_MIN[minutes]}",
        "load.concurrency=4",
        "load.warmup=1" if minutes > 1 else "load.warmup=4",
        f"load.timeout_s={TIMEOUT_S}",
        f"cluster.nodes.head.object_store_mb={STORE_MB[mode]}",
    )


def decoders(outputs: Path, count: int) -> dict[str, Any]:
    """``count`` decoders with one CPU each, however many cores the machine has."""
    return measure(
        outputs,
        "video.scene.length_s=60",
        "load.requests=24",
        "load.concurrency=8",
        f"cluster.nodes.head.cpus={count}",
        f"cluster.deployments.decoder.replicas={count}",
        "cluster.deployments.inference.replicas=1",
    )


def concurrency(outputs: Path, in_flight: int) -> dict[str, Any]:
    """``in_flight`` requests in flight."""
    return measure(outputs, "video.scene.length_s=60", "load.requests=32", f"load.concurrency={in_flight}")


def measure_cells(name: str, cells: dict[str, Any], rounds: int, outputs: Path) -> dict[str, Any]:
    """Each cell once per round, in random order."""
    trials: dict[str, list[dict[str, Any]]] = {cell: [] for cell in cells}
    for number, cell in in_rounds(cells, rounds, random.Random(1)):
        trial = cells[cell](outputs)
        trials[cell].append(trial)
        print(
            f"{name}  round {number}  {cell:<18} {trial['frames_per_s']:5.1f} frames/s,"
            f" {'valid' if trial['valid'] else trial['broken_rules']}",
            flush=True,
        )
    return {
        cell: {
            "frames_per_s": statistics.median(trial["frames_per_s"] for trial in runs),
            "latency_mean_s": statistics.median(trial["latency_mean_s"] for trial in runs),
            "rounds": runs,
        }
        for cell, runs in trials.items()
    }


def main() -> None:
    """Run the requested measurements; keep the rest of an earlier result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("length", "decoders", "concurrency"))
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds of decoders and concurrency (default: %(default)s)"
    )
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
            {str(count): partial(concurrency, in_flight=count) for count in CONCURRENCY},
        ),
    }
    path = HERE / "result.json"
    result = read_result(path) if options.only else {}
    with tempfile.TemporaryDirectory(prefix="vbench-study-") as folder:
        for name, (rounds, cells) in parts.items():
            if options.only in (None, name):
                result[name] = {
                    **conditions(),
                    "cells": measure_cells(name, cells, rounds, Path(folder)),
                }
                write_result(path, result)


if __name__ == "__main__":
    main()
