"""Each forward pass is noted as the network saw it, whatever the settings say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vbench.models.forward_pass import CpuPasses
from vbench.models.pass_witness import PassWitness
from vbench.models.protocol import ForwardPass
from vbench.models.registry import create
from vbench.models.settings import ModelSettings

Network = Callable[[Tensor], Tensor]


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def network() -> nn.Module:
    return nn.Conv2d(3, 4, 3)


def watched(net: nn.Module, settings: ModelSettings | None = None) -> PassWitness:
    witness = PassWitness(settings or ModelSettings())
    witness.watch(net)
    return witness


def one_pass(net: nn.Module, pictures: Tensor | None = None, **settings: object) -> ForwardPass:
    witness = watched(net, ModelSettings(**settings))  # type: ignore[arg-type]
    with torch.inference_mode():
        net(torch.zeros(2, 3, 8, 16) if pictures is None else pictures)
    (seen,) = witness.take()
    return seen


def test_a_detector_says_what_its_network_saw() -> None:
    with threads(2):
        detector = create(ModelSettings(batch_size=2))
        detector.load()
        assert detector.passes_seen() == []
        detector.detect(np.zeros((3, 90, 160, 3), np.uint8))
        passes = detector.passes_seen()

    assert [one.frames for one in passes] == [2, 1]
    assert passes[1].number == passes[0].number + 1
    for one in passes:
        assert one.how == {
            "input": "640x360",
            "precision": "fp32",
            "device": "cpu",
            "channels_last": True,
            "compile": False,
            "inference_mode": True,
            "threads": 1,
        }
        assert one.cpu_s is not None
        assert one.cpu_s > 0
    assert detector.passes_seen() == []


def test_threads_are_those_of_the_thread_that_runs_the_pass() -> None:
    with threads(2):
        assert one_pass(network()).how["threads"] == 2


def test_threads_that_change_during_a_pass_are_both_named() -> None:
    net = network()
    net.register_forward_hook(lambda *_: torch.set_num_threads(2))
    with threads(1):
        assert one_pass(net).how["threads"] == "1, 2"


@pytest.mark.parametrize(
    ("dtype", "precision"),
    [(torch.float32, "fp32"), (torch.bfloat16, "bf16"), (torch.float64, "torch.float64")],
)
def test_precision_is_that_of_input_and_weights(dtype: torch.dtype, precision: str) -> None:
    pictures = torch.zeros(1, 3, 8, 8, dtype=dtype)
    assert one_pass(network().to(dtype), pictures, precision="fp16").how["precision"] == precision


def test_autocast_is_another_precision() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert one_pass(network()).how["precision"] == "bf16 by autocast"


def test_rounded_products_are_another_precision() -> None:
    products = torch.backends.mkldnn.conv  # type: ignore[attr-defined]
    before = products.fp32_precision
    products.fp32_precision = "bf16"
    try:
        assert "products in bf16" in str(one_pass(network()).how["precision"])
    finally:
        products.fp32_precision = before


def test_a_cpu_computes_tf32_as_fp32() -> None:
    assert one_pass(network(), precision="tf32").how["precision"] == "tf32"
    assert one_pass(network(), precision="fp32").how["precision"] == "fp32"


def test_a_device_other_than_asked_for_is_named() -> None:
    assert one_pass(network(), device="cuda:0").how["device"] == "cpu"


def test_size_and_layout_are_those_of_the_input() -> None:
    seen = one_pass(network(), torch.zeros(5, 3, 24, 32).contiguous(memory_format=torch.channels_last))
    assert (seen.frames, seen.how["input"], seen.how["channels_last"]) == (5, "32x24", True)
    assert one_pass(network(), torch.zeros(1, 3, 24, 32)).how["channels_last"] is False


def test_a_pass_that_keeps_gradients_says_so() -> None:
    net = network()
    witness = watched(net)
    net(torch.zeros(1, 3, 8, 8))
    assert [one.how["inference_mode"] for one in witness.take()] == [False]


def test_a_compiled_network_is_watched_from_outside() -> None:
    compiled = torch.compile(network(), backend="eager")
    assert isinstance(compiled, nn.Module)
    seen = one_pass(compiled)
    assert (seen.frames, seen.how["compile"]) == (2, True)


def test_frames_that_fill_a_pass_up_are_counted() -> None:
    net = network()
    witness = watched(net)

    def work(pixels: Tensor) -> Tensor:
        out: Tensor = net(pixels.permute(0, 3, 1, 2).float())
        return out

    CpuPasses(work, fill_to=4).submit(np.zeros((3, 8, 8, 3), np.uint8))()
    assert [one.frames for one in witness.take()] == [4]


def test_what_captures_a_graph_is_no_pass_and_each_replay_is_one() -> None:
    net = network()
    witness = watched(net)
    net(torch.zeros(1, 3, 8, 8))
    waiting = witness.waiting
    for _ in range(4):
        net(torch.zeros(2, 3, 8, 8))
    captured = witness.captured(waiting)
    witness.replayed(captured)
    witness.replayed(captured)

    passes = witness.take()
    assert [(one.number, one.frames) for one in passes] == [(1, 1), (2, 2), (3, 2)]
    assert passes[-1].how["cuda_graph"] is True
