"""Trains ``shapes`` from nothing: ``python -m vbench.models.train_shapes``, minutes on two cores.

Renders and encodes scenes, learns from their decoded frames, writes the folded network as fp16 safetensors.
"""

import argparse
import copy
import hashlib
import json
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name the field knows it by
from safetensors.torch import save_file
from torch import Tensor

from vbench.models.plain_shapes import BUNDLED_SHA256
from vbench.models.preprocess import PAD_VALUE
from vbench.models.shapes import BUNDLED
from vbench.models.shapes_net import ARCHITECTURE, HEIGHT, WIDTH, ShapesNet
from vbench.models.train_data import CLASS_NAMES, Sample, make_samples
from vbench.models.train_loss import detection_loss

EMA_STEPS = 300
"""Memory of the averaged weights, in steps; they are what is saved."""
WARM_UP_STEPS = 100


def main(arguments: Sequence[str] | None = None) -> None:
    """Train by the command line's arguments."""
    options = _parse(arguments)
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        shape = (options.scenes * options.frames, HEIGHT, WIDTH, 3)
        store = np.memmap(Path(name) / "pixels", np.uint8, "w+", shape=shape)
        samples = _collect(options, store)
        net = _train(samples, options, rng)
    _save(net, options)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m vbench.models.train_shapes", description=__doc__)
    parser.add_argument("--out", type=_path, default=BUNDLED, help="where the weights go (%(default)s)")
    parser.add_argument("--scenes", type=int, default=1200, help="scenes to render (%(default)s)")
    parser.add_argument("--frames", type=int, default=6, help="frames a scene (%(default)s)")
    parser.add_argument("--epochs", type=float, default=5.0, help="passes over all frames (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="frames a step (%(default)s)")
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate of AdamW (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and changes (%(default)s)")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16"),
        default="fp32",
        help="of the convolutions; bf16 halves the time on CPUs that have it (%(default)s)",
    )
    parser.add_argument("--threads", type=int, default=2, help="threads and processes to use (%(default)s)")
    return parser.parse_args(arguments)


def _path(text: str) -> Path:
    """A shell leaves ``~`` as it is in ``--out=~/x``."""
    return Path(text).expanduser()


def _collect(options: argparse.Namespace, store: np.memmap) -> list[Sample]:
    """Make all training frames; their pixels go to ``store``, a file, as they need not fit in memory."""
    samples: list[Sample] = []
    started = time.monotonic()
    for done, scene in enumerate(make_samples(options.scenes, options.frames, options.threads), 1):
        for sample in scene:
            store[len(samples)] = sample.pixels
            samples.append(
                Sample(
                    pixels=store[len(samples)],
                    classes=sample.classes,
                    boxes=sample.boxes,
                    visible=sample.visible,
                )
            )
        if done % 50 == 0 or done == options.scenes:
            print(f"scene {done}/{options.scenes}, {time.monotonic() - started:.0f} s", flush=True)
    return samples


def _train(samples: list[Sample], options: argparse.Namespace, rng: np.random.Generator) -> ShapesNet:
    net = ShapesNet(len(CLASS_NAMES))
    average: ShapesNet = copy.deepcopy(net)
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=options.rate)
    steps = max(1, int(len(samples) * options.epochs / options.batch))
    order = np.concatenate([rng.permutation(len(samples)) for _ in range(math.ceil(options.epochs) + 1)])
    started = time.monotonic()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = options.rate * _schedule(step, steps)
        chosen = [samples[i] for i in order[step * options.batch : (step + 1) * options.batch]]
        pixels, classes, boxes, visible = vary(*collate(chosen), rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            predictions = net(pixels / 255)
        class_loss, box_loss = detection_loss(predictions, classes, boxes, visible)
        optimiser.zero_grad()
        torch.autograd.backward(class_loss + box_loss)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        _follow(average, net, step)
        if step % 20 == 0 or step + 1 == steps:
            spent = time.monotonic() - started
            left = spent / (step + 1) * (steps - step - 1)
            print(
                f"step {step + 1}/{steps}, class loss {class_loss.item():.3f}, "
                f"box loss {box_loss.item():.3f}, {spent:.0f} s, {left:.0f} s left",
                flush=True,
            )
    return average


def _schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate: a linear rise, then half a cosine down to a hundredth."""
    rise = min(1.0, (step + 1) / min(WARM_UP_STEPS, steps))
    return rise * (0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2)


def _follow(average: ShapesNet, net: ShapesNet, step: int) -> None:
    """Move the averaged network towards ``net``; by more at first, when there is little to average."""
    share = 1 - min(1 - 1 / EMA_STEPS, (step + 1) / (step + 11))
    with torch.no_grad():
        for slow, fast in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, share)


def collate(samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Batch samples: pixels float[N, 3, 360, 640], 0 to 255, and padded truth as in ``detection_loss``."""
    most = max(1, *(len(s.classes) for s in samples))
    pixels = torch.from_numpy(np.stack([s.pixels for s in samples])).permute(0, 3, 1, 2).float()
    classes = torch.zeros(len(samples), most, dtype=torch.int64)
    boxes = torch.zeros(len(samples), most, 4)
    visible = torch.zeros(len(samples), most)
    for i, sample in enumerate(samples):
        count = len(sample.classes)
        classes[i, :count] = torch.from_numpy(sample.classes)
        boxes[i, :count] = torch.from_numpy(sample.boxes)
        visible[i, :count] = torch.from_numpy(sample.visible)
    return pixels, classes, boxes, visible


def vary(
    pixels: Tensor, classes: Tensor, boxes: Tensor, visible: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Change a batch: mirror it, turn it over, change colours and light, or shrink it into a grey frame.

    Every class looks the same in a mirror, so the truth's classes stay.
    """
    for i in range(len(pixels)):
        if rng.random() < 0.5:
            pixels[i] = pixels[i].flip(-1)
            boxes[i, :, [0, 2]] = WIDTH - boxes[i, :, [2, 0]]
        if rng.random() < 0.5:
            pixels[i] = pixels[i].flip(-2)
            boxes[i, :, [1, 3]] = HEIGHT - boxes[i, :, [3, 1]]
        if rng.random() < 0.5:
            pixels[i] = pixels[i][rng.permutation(3)]
        if rng.random() < 0.5:
            contrast, light = rng.uniform(0.75, 1.25), rng.uniform(-20, 20)
            pixels[i] = ((pixels[i] - 128) * contrast + 128 + light).clamp(0, 255)
    if rng.random() < 0.15:
        width, height = int(rng.uniform(0.8, 1) * WIDTH), int(rng.uniform(0.8, 1) * HEIGHT)
        x, y = int(rng.integers(0, WIDTH - width + 1)), int(rng.integers(0, HEIGHT - height + 1))
        small = F.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
        pixels = F.pad(small, (x, WIDTH - width - x, y, HEIGHT - height - y), value=PAD_VALUE)
        scale = torch.tensor([width / WIDTH, height / HEIGHT] * 2)
        boxes = boxes * scale + torch.tensor([x, y, x, y])
    return pixels, classes, boxes, visible


def _save(net: ShapesNet, options: argparse.Namespace) -> None:
    weights = {name: value.half().contiguous() for name, value in net.fuse_batch_norm().state_dict().items()}
    training = {key: str(value) for key, value in vars(options).items() if key not in {"out", "threads"}}
    metadata = {
        "architecture": ARCHITECTURE,
        "class_names": json.dumps(CLASS_NAMES),
        "training": json.dumps(training, sort_keys=True),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = options.out.with_name(options.out.name + ".unfinished")
    save_file(weights, unfinished, metadata)
    unfinished.replace(options.out)
    print(f"wrote {options.out}, {options.out.stat().st_size / 1e6:.2f} MB", flush=True)
    digest = hashlib.sha256(options.out.read_bytes()).hexdigest()
    if options.out == BUNDLED and digest != BUNDLED_SHA256:
        print(f"now set BUNDLED_SHA256 in vbench/models/plain_shapes.py to {digest}", flush=True)


if __name__ == "__main__":
    main()
