"""How many bytes of frames and packets the object stores take, and who holds how many of them now."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.footprint import Footprint
from vbench.ray_internals.object_manager import SPILLING_THRESHOLD


def capacity_bytes(args: PipelineArgs, nodes: Iterable[Mapping[str, Any]]) -> int:
    """Bytes of frames that ONE service replica may have in the stores at a time.

    ``frames_budget_mb``, or without it 80% of the object store of the smallest of ``nodes`` (as
    ``ray.nodes()`` gives them) that could hold frames: one where a decoder or the model may run, or,
    relayed, a service. The service replicas share it equally. Chunks' packets are counted apart, see
    ``packets_capacity_bytes``.
    """
    if args.frames_budget_mb is not None:
        return int(args.frames_budget_mb * 1e6) // args.service.replicas
    holders = [args.decoder, args.inference] + ([args.service] if args.handoff == "relay" else [])
    stores = [
        node["Resources"].get("object_store_memory", 0.0)
        for node in nodes
        if node["Alive"] and any(deployment.fits(node["Resources"]) for deployment in holders)
    ]
    if not stores:
        raise RuntimeError(
            "no node of the cluster has the CPUs, GPUs and resources that a decoder or the model asks for: "
            "lower them in the deployment's arguments, or add such a node"
        )
    return int(min(stores) * SPILLING_THRESHOLD) // args.service.replicas


def packets_capacity_bytes(args: PipelineArgs, nodes: Iterable[Mapping[str, Any]]) -> int:
    """Bytes of coded pictures that ONE service replica may have on their way to the decoders at a time.

    ``packets_budget_mb``, or without it the share of the smallest store, of nodes that a service or a decoder
    may run on, that frames leave.
    """
    if args.packets_budget_mb is not None:
        return int(args.packets_budget_mb * 1e6) // args.service.replicas
    stores = [
        node["Resources"].get("object_store_memory", 0.0)
        for node in nodes
        if node["Alive"]
        and (args.service.fits(node["Resources"]) or args.decoder.fits(node["Resources"]))
        and node["Resources"].get("object_store_memory")
    ]
    return int(min(stores, default=0.0) * (1 - SPILLING_THRESHOLD)) // args.service.replicas


class FramesBudget:
    """Bytes shared by concurrent requests: each waits its turn for its share, first come, first served.

    Belongs to one event loop.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.free = capacity
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, wanted: Footprint) -> AsyncIterator[None]:
        """Have its bytes while the body runs, waiting until they are free.

        Raises VideoTooLargeError, with the arithmetic in its sentence, for more than there can ever be.
        """
        wanted.check(self.capacity)
        nbytes = wanted.nbytes
        await self._acquire(nbytes)
        try:
            yield
        finally:
            self._release(nbytes)

    async def take(self, nbytes: int) -> Callable[[], None]:
        """Have ``nbytes``, waiting until they are free; what gives them back, once."""
        await self._acquire(nbytes)
        held = [nbytes]

        def give_back() -> None:
            if held:
                self._release(held.pop())

        return give_back

    async def _acquire(self, nbytes: int) -> None:
        if not self._waiting and nbytes <= self.free:
            self.free -= nbytes
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((nbytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release(nbytes)
            else:
                self._admit()
            raise

    def _release(self, nbytes: int) -> None:
        self.free += nbytes
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            nbytes, turn = self._waiting[0]
            if not turn.cancelled():
                if nbytes > self.free:
                    return
                self.free -= nbytes
                turn.set_result(None)
            self._waiting.popleft()
