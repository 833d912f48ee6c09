"""Compares a detector on a GPU with its bare network: ``python experiments/gpu/measure.py`` (3 min).

Needs an NVIDIA GPU that torch can use. All ways run on the same frames, one batch after another. In each
round, every way runs once, for a fixed time, in random order. Nothing else may run on the GPU or its machine.
Writes raw values to ``result.json`` next to this file (or to ``--out``), which README.md quotes.
"""

import argparse
import os
import random
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.results import conditions, write_result
from experiments.lib.rounds import in_rounds
from vbench.models.forward_pass import CaptureSafeMode
from vbench.models.matching import LabelledBoxes, disagreements
from vbench.models.preprocess import to_pictures
from vbench.models.protocol import Detections
from vbench.models.registry import create
from vbench.models.settings import ModelSettings, Precision
from vbench.models.torch_detector import DTYPES, TorchDetector
from vbench.record.metrics import gpu_use
from vbench.telemetry.machine import MachineSampler
from vbench.video.scenes.render import Scene
from vbench.video.scenes.settings import SceneSettings

HERE = Path(__file__).resolve().parent
DEVICE = torch.device("cuda")
FRAMES = 128
BATCHES = (1, 4, 8, 16, 64)
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16")
MODELS = {"rtdetr": "random", "shapes": "bundled"}
THREADS = 4
"""CPU threads of a replica, as with ``cluster.deployments.inference.cpus=4``."""

Pictures = npt.NDArray[np.uint8]
Way = Callable[[float], float]
"""Runs for a number of seconds and waits for the device; returns frames per second."""


def scene(width: int, height: int) -> Pictures:
    """Frames of a scene in the size of the model's input, as a decoder would send them."""
    drawn = Scene(SceneSettings(width=width, height=height, seed=9))
    return np.stack([drawn.frame(3 * index) for index in range(FRAMES)])


def batches(frames: Pictures, size: int) -> Iterator[Pictures]:
    """Batches of ``size`` frames, endlessly."""
    return cycle([frames[start : start + size] for start in range(0, len(frames) - size + 1, size)])


def of_device(step: Callable[[], object], size: int) -> Way:
    """Calls ``step`` on frames that are on the device already, and waits for the device only occasionally."""

    def run(for_s: float) -> float:
        torch.cuda.synchronize()
        began, steps, together = time.monotonic(), 0, 1
        while (passed_s := time.monotonic() - began) < for_s:
            for _ in range(together):
                step()
            steps += together
            torch.cuda.synchronize()
            if passed_s < for_s / 4:
                together = min(2 * together, 32)
        return steps * size / (time.monotonic() - began)

    return run


def of_host(detector: TorchDetector, frames: Pictures, size: int) -> Way:
    """From frames to detections, both in the host's memory: what a replica of ``ModelInference`` does."""

    def run(for_s: float) -> float:
        begun: deque[Callable[[], list[Detections]]] = deque()
        began, done = time.monotonic(), 0
        for batch in batches(frames, size):
            begun.append(detector.submit(batch))
            if len(begun) == detector.in_flight:
                done += len(begun.popleft()())
            if time.monotonic() - began >= for_s:
                break
        for answer in begun:
            done += len(answer())
        return done / (time.monotonic() - began)

    return run


def plain(detector: TorchDetector, net: Callable[[Tensor], Any], frames: Pictures, size: int) -> Way:
    """The same work without optimizations: copy, pass, copy back and read, one after the other."""

    def run(for_s: float) -> float:
        began, done = time.monotonic(), 0
        for batch in batches(frames, size):
            with torch.inference_mode():
                rows = detector._work(net, torch.from_numpy(batch).to(DEVICE)).cpu().numpy()
            done += len(
                detector._detections(rows, to_pictures(torch.from_numpy(batch[:1]), detector.input)[1])
            )
            if time.monotonic() - began >= for_s:
                return done / (time.monotonic() - began)
        raise AssertionError("batches have no end")

    return run


def replayed(net: Callable[[Tensor], Any], pictures: Tensor) -> Callable[[], None]:
    """The bare network as a CUDA graph."""
    beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.inference_mode(), torch.cuda.stream(beside):
        for _ in range(3):
            net(pictures)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), CaptureSafeMode(), torch.cuda.graph(graph):
        net(pictures)
    return graph.replay


def network(name: str, precision: Precision) -> nn.Module:
    """The bare network on the device, prepared as in a detector."""
    settings = ModelSettings(name=name, weights=MODELS[name], precision=precision, device="cuda")
    detector = create(settings)
    assert isinstance(detector, TorchDetector)
    net = detector._build().eval().to(DEVICE, DTYPES[precision])
    for weight in net.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return net


def ways(net: nn.Module, name: str, precision: Precision, size: int, frames: Pictures) -> dict[str, Way]:
    """All ways of one model at one batch size, loaded."""
    settings = ModelSettings(
        name=name,
        weights=MODELS[name],
        precision=precision,
        batch_size=size,
        device="cuda",
    )
    ours = create(settings, threads=THREADS)
    eager = create(ModelSettings(**{**asdict(settings), "cuda_graph": False}), threads=THREADS)
    assert isinstance(ours, TorchDetector)
    assert isinstance(eager, TorchDetector)
    if name != "shapes":  # initialising random weights takes seconds, so all ways share them
        ours._build = eager._build = lambda: net  # type: ignore[method-assign]
    ours.load()
    eager.load()
    pixels = torch.from_numpy(frames[:size]).to(DEVICE)
    pictures = to_pictures(pixels, ours.input)[0].to(DTYPES[precision], memory_format=torch.channels_last)

    def bare() -> object:
        with torch.inference_mode():
            return net(pictures)

    return {
        "bare": of_device(bare, size),
        "bare, as a CUDA graph": of_device(replayed(net, pictures), size),
        "plain loop": plain(ours, net, frames, size),
        "vbench": of_host(ours, frames, size),
        "vbench, cuda_graph=false": of_host(eager, frames, size),
    }


def differing(frames: Pictures, precision: Precision) -> tuple[int, int]:
    """Number of objects on which CPU (fp32) and GPU disagree by the rule for trials, and of all objects."""
    here = create(ModelSettings(), threads=os.cpu_count() or 1)
    there = create(ModelSettings(device="cuda", precision=precision))
    here.load()
    there.load()

    names = here.class_names
    wanted = here.detect(frames)
    off = sum(
        len(disagreements(LabelledBoxes.of(want, names), LabelledBoxes.of(got, names), 0.3))
        for want, got in zip(wanted, there.detect(frames), strict=True)
    )
    return off, sum(len(one.classes) for one in wanted)


def telemetry(run: Way) -> dict[str, float]:
    """The metrics of the GPU that a trial's record would have."""
    sampler = MachineSampler([os.getpid()], 0.5)
    with sampler.running():
        frames_per_s = run(2.0)
    return {"frames_per_s": frames_per_s, **gpu_use(sampler.samples, 1)}


def main() -> None:
    """Measure all ways and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.1,
        help="seconds per way and round",
    )
    parser.add_argument("--out", type=Path, default=HERE / "result.json")
    options = parser.parse_args()
    draw = random.Random(1)
    rows = []
    observed = {}
    frames = {"shapes": scene(640, 360), "rtdetr": scene(640, 640)}
    for name in MODELS:
        for precision in PRECISIONS:
            net = network(name, precision)
            for size in BATCHES:
                by_name = ways(net, name, precision, size, frames[name])
                for run in by_name.values():
                    run(options.seconds / 4)
                runs: dict[str, list[float]] = {way: [] for way in by_name}
                for _, way in in_rounds(by_name, options.rounds, draw):
                    runs[way].append(by_name[way](options.seconds))
                row: dict[str, Any] = {"model": name, "precision": precision, "batch_size": size, "ways": {}}
                for way, values in runs.items():
                    over = [value / bare for value, bare in zip(values, runs["bare"], strict=True)]
                    row["ways"][way] = {
                        "frames_per_s": statistics.median(values),
                        "over_bare": statistics.median(over),
                        "over_bare_range": [min(over), max(over)],
                        "runs": values,
                    }
                rows.append(row)
                shown = "  ".join(
                    f"{way} {one['frames_per_s']:.0f} ({one['over_bare']:.2f})"
                    for way, one in row["ways"].items()
                )
                print(f"{name} {precision} {size:>2}: {shown}", flush=True)
            observed[f"{name} {precision}"] = telemetry(by_name["vbench"])
            print(f"  {observed[f'{name} {precision}']}", flush=True)
            write(options, rows, observed, {})
    differ = {precision: differing(frames["shapes"], precision) for precision in PRECISIONS}
    print(differ)
    write(options, rows, observed, differ)


def write(options: argparse.Namespace, rows: list[Any], observed: Any, differ: Any) -> None:
    """Write what has been measured so far."""
    result = {
        **conditions(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "threads": THREADS,
        "rows": rows,
        "telemetry_at_the_largest_batch": observed,
        "objects_that_differ_from_the_cpu": differ,
    }
    write_result(options.out, result)


if __name__ == "__main__":
    main()
