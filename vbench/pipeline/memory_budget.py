"""Object store memory: what a request needs, what the nodes have, and who holds how much of it now."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.request_settings import RequestSettings
from vbench.ray_internals.object_manager import SPILLING_THRESHOLD
from vbench.video.errors import VideoTooLargeError
from vbench.video.reader.pool import SplitVideo
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Object store memory that one request takes at most at a time."""

    nbytes: int
    arithmetic: str
    """How it comes about: ``36 frames x 640 x 360 x 3 bytes``."""

    def check(self, capacity_bytes: int) -> None:
        """VideoTooLargeError, with the arithmetic, for more than ``capacity_bytes``."""
        if self.nbytes > capacity_bytes:
            raise VideoTooLargeError(
                f"the frames of this request do not fit: {self.arithmetic} = {self.nbytes / 1e6:.1f} MB, "
                f"of a budget of {capacity_bytes / 1e6:.1f} MB; ask for fewer frames/s, for shorter chunks "
                "in chunked mode, or give the nodes larger object stores (or the service a larger "
                "frames_budget_mb)"
            )


def footprint(job: RequestSettings, splitter: Splitter | SplitVideo, geometry: FrameGeometry) -> Footprint:
    """What the request holds, relayed frames twice: as they came to the service and as they leave it."""
    frames, which = job.frames_held(splitter)
    per_pixel = geometry.frame_bytes / (geometry.width * geometry.height)
    arithmetic = f"{frames} frames{which} x {geometry.width} x {geometry.height} x {per_pixel:g} bytes"
    copies = 2 if job.args.handoff == "relay" else 1
    if copies == 2:
        arithmetic += " x 2 copies in the service's object store (handoff: relay)"
    return Footprint(nbytes=frames * geometry.frame_bytes * copies, arithmetic=arithmetic)


def check_packets(splitter: SplitVideo, capacity_bytes: int) -> None:
    """VideoTooLargeError for a chunk with more bytes of packets than ``capacity_bytes``."""
    largest = max(splitter.coded_bytes, default=0)
    if largest > capacity_bytes:
        chunk = splitter.coded_bytes.index(largest)
        raise VideoTooLargeError(
            f"chunk {chunk} of this request does not fit: {largest / 1e6:.1f} MB of coded pictures, of a "
            f"budget of {capacity_bytes / 1e6:.1f} MB; ask for shorter chunks (chunk_s), or give the service "
            "a larger packets_budget_mb"
        )


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
