"""Who may hold how many bytes of frames: what is refused, who waits, and in which order."""

import asyncio
from typing import Any

import pytest

from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.memory_budget import Footprint, FramesBudget, capacity_bytes
from vbench.video.errors import VideoTooLargeError


def node(store: float, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"object_store_memory": store, **resources}}


def args(**changes: Any) -> PipelineArgs:
    workers = {"decoder": {"resources": {"d": 0.1}}, "inference": {"resources": {"m": 0.1}}}
    return PipelineArgs.model_validate(workers | changes)


NODES = [
    node(100e6, CPU=0.0),
    node(1000e6, CPU=4.0, d=1.0),
    node(600e6, CPU=4.0, m=1.0),
    node(300e6, CPU=4.0),
    node(50e6, alive=False, CPU=4.0, d=1.0),
]


def test_capacity_is_what_the_smallest_holder_of_frames_takes_before_it_spills() -> None:
    assert capacity_bytes(args(), NODES) == 480_000_000


def test_relayed_frames_count_the_nodes_that_a_service_may_be_on() -> None:
    assert capacity_bytes(args(handoff="relay"), NODES) == 80_000_000


def test_services_share_the_capacity() -> None:
    assert capacity_bytes(args(service={"replicas": 3}), NODES) == 160_000_000
    assert capacity_bytes(args(frames_budget_mb=90, service={"replicas": 3}), NODES) == 30_000_000


def test_a_cluster_without_a_node_for_frames_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no node of the cluster has the CPUs, GPUs and resources"):
        capacity_bytes(args(), NODES[:1])


def share(nbytes: int) -> Footprint:
    return Footprint(nbytes=nbytes, arithmetic="arithmetic")


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Holder:
    """A request that holds its share until told to let go."""

    def __init__(self, budget: FramesBudget, nbytes: int) -> None:
        self.admitted = False
        self.let_go = asyncio.Event()
        self.task = asyncio.create_task(self._run(budget, nbytes))

    async def _run(self, budget: FramesBudget, nbytes: int) -> None:
        async with budget.hold(share(nbytes)):
            self.admitted = True
            await self.let_go.wait()


def test_more_than_there_can_ever_be_is_refused_with_the_arithmetic() -> None:
    async def ask() -> None:
        wanted = Footprint(nbytes=2_500_000, arithmetic="10 frames x 250 000 bytes")
        async with FramesBudget(1_000_000).hold(wanted):
            pass

    with pytest.raises(
        VideoTooLargeError, match=r"10 frames x 250 000 bytes = 2\.5 MB, of a budget of 1\.0 MB"
    ):
        asyncio.run(ask())


def test_requests_are_admitted_first_come_first_served() -> None:
    async def scenario() -> None:
        budget = FramesBudget(10)
        large, larger, small = Holder(budget, 6), Holder(budget, 8), Holder(budget, 1)
        await settle()
        assert (large.admitted, larger.admitted, small.admitted) == (True, False, False)

        large.let_go.set()
        await settle()
        assert (larger.admitted, small.admitted) == (True, True)
        assert budget.free == 1

        larger.let_go.set()
        small.let_go.set()
        await asyncio.gather(large.task, larger.task, small.task)
        assert budget.free == 10

    asyncio.run(scenario())


@pytest.mark.parametrize("also_free", [False, True])
def test_a_request_that_gives_up_waiting_lets_the_next_one_in(also_free: bool) -> None:
    async def scenario() -> None:
        budget = FramesBudget(10)
        first, impatient, last = Holder(budget, 6), Holder(budget, 8), Holder(budget, 4)
        await settle()

        if also_free:  # admitted and given up in the same step of the loop
            first.let_go.set()
            await asyncio.sleep(0)
        impatient.task.cancel()
        await settle()

        assert last.admitted
        assert budget.free == (6 if also_free else 0)
        first.let_go.set()
        last.let_go.set()
        await asyncio.gather(first.task, last.task)
        assert budget.free == 10

    asyncio.run(scenario())


def test_an_error_in_the_body_gives_the_share_back() -> None:
    async def scenario() -> None:
        budget = FramesBudget(10)
        with pytest.raises(ZeroDivisionError):
            async with budget.hold(share(10)):
                _ = 1 / 0
        assert budget.free == 10

    asyncio.run(scenario())
