"""Records each forward pass as its network sees it: its input, how it was computed, and its CPU time."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from vbench.models.protocol import ForwardPass
from vbench.models.settings import ModelSettings

NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}

MOST_WAITING = 4096
"""Passes that are kept for whoever takes them: a reference pass never does."""

PLAIN = {"cpu": {"none", "ieee"}, "cuda": {"ieee"}}
"""Device -> what torch calls products of float32 numbers that are not rounded before."""


@dataclass(frozen=True, slots=True)
class _PassStart:
    """A pass that is under way."""

    threads: int
    thread_s: float
    """CPU seconds of the calling thread so far."""


class PassWitness:
    """Watches one network by hooks on the module that is called. Belongs to the thread that calls it."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._count = 0
        self._pass_start: _PassStart | None = None
        self._passes: deque[ForwardPass] = deque(maxlen=MOST_WAITING)
        self._weights: list[nn.Parameter] = []
        """Collected once: to walk a large network takes longer than some passes on a GPU."""

    def watch(self, network: nn.Module) -> None:
        """Note each call of ``network`` from now on."""
        self._weights = [weight for weight in network.parameters() if weight.is_floating_point()]
        network.register_forward_pre_hook(self._before)
        network.register_forward_hook(self._after)

    def take(self) -> list[ForwardPass]:
        """The passes since this was last called, in order; the last MOST_WAITING of them."""
        passes = list(self._passes)
        self._passes.clear()
        return passes

    @property
    def waiting(self) -> int:
        """Passes that were not taken yet."""
        return len(self._passes)

    def captured(self, waiting: int) -> ForwardPass | None:
        """Forget the passes since so many were ``waiting``: a graph was captured with them.

        Returns the last of them, which is what the graph repeats.
        """
        made = [self._passes.pop() for _ in range(len(self._passes) - waiting)]
        self._count -= len(made)
        return made[0] if made else None

    def replayed(self, captured: ForwardPass | None) -> None:
        """Note that a graph repeated this pass. A replay calls no module."""
        if captured is not None:
            self._count += 1
            how = {**captured.how, "cuda_graph": True}
            self._passes.append(replace(captured, number=self._count, how=how))

    def _before(self, network: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._pass_start = _PassStart(torch.get_num_threads(), time.thread_time())

    def _after(self, network: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        thread_s, begun = time.thread_time(), self._pass_start
        assert begun is not None
        self._pass_start = None
        self._count += 1
        pictures: Tensor = inputs[0]
        on_cpu = pictures.device.type == "cpu"
        how = pass_facts(network, self._weights, pictures, self._settings)
        if on_cpu:
            threads = torch.get_num_threads()
            how["threads"] = threads if threads == begun.threads else f"{begun.threads}, {threads}"
        else:
            how["cuda_graph"] = False
        self._passes.append(
            ForwardPass(
                number=self._count,
                frames=pictures.shape[0],
                how=how,
                cpu_s=thread_s - begun.thread_s if on_cpu else None,
            )
        )


def pass_facts(
    network: nn.Module, weights: Sequence[Tensor], pictures: Tensor, settings: ModelSettings
) -> dict[str, str | int | float | bool | None]:
    """How ``network`` with these ``weights`` works on ``pictures`` [N, 3, height, width], in the words of
    ``settings`` if they are true of it."""
    return {
        "input": f"{pictures.shape[3]}x{pictures.shape[2]}",
        "precision": _precision(pictures, weights, settings.precision),
        "device": _device({pictures.device, *(weight.device for weight in weights)}, settings.device),
        "channels_last": pictures.stride(1) == 1,
        # torch.compile keeps the network that it was given by this name.
        "compile": hasattr(network, "_orig_mod"),
        "inference_mode": torch.is_inference_mode_enabled(),
    }


def _device(devices: set[torch.device], name: str) -> str:
    asked = torch.device(name)
    same = all(one.type == asked.type and asked.index in (None, one.index) for one in devices)
    return name if same and len(devices) == 1 else ", ".join(sorted(map(str, devices)))


def _precision(pictures: Tensor, weights: Sequence[Tensor], name: str) -> str:
    kind = pictures.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        return f"{NAMES.get(dtype, dtype)} by autocast"
    dtypes = {tensor.dtype for tensor in (pictures, *weights)}
    if dtypes != {torch.float32}:
        return ", ".join(sorted(str(NAMES.get(dtype, dtype)) for dtype in dtypes))
    used = _products(kind)
    if used <= PLAIN[kind]:
        # A CPU computes tf32 as fp32.
        return "tf32" if (kind, name) == ("cpu", "tf32") else "fp32"
    return "tf32" if used == {"tf32"} else f"fp32 with products in {', '.join(sorted(used))}"


def _products(kind: str) -> set[str]:
    """What torch rounds float32 numbers to before it multiplies them, in convolutions and in matrices."""
    backends: Any = torch.backends
    if kind == "cuda":
        return {backends.cudnn.conv.fp32_precision, backends.cuda.matmul.fp32_precision}
    return {backends.mkldnn.conv.fp32_precision, backends.mkldnn.matmul.fp32_precision}
