"""Two Ray actors that transfer objects from one node to another, and hash what was sent and received."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import xxhash
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """The objects of one request, in the sender's store."""

    digests: list[str]
    start_s: float
    """Unix seconds, of the sender: making and putting them."""
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PullTimes:
    """When a request's objects arrived, in Unix seconds of the receiver."""

    number: int
    """Of this pull among all of the receiver's, from 1."""
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What the receiver got of one request."""

    digests: list[str]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """One request, as the client saw it. Times are monotonic seconds of the client."""

    number: int
    """Of all requests, the warm-up's included."""
    sent_s: float
    done_s: float
    sent_unix_s: float
    made: PutResult
    pulled: PullTimes | None
    arrived: Received | None
    error: str | None
    """Why the objects did not arrive."""


class Sender:
    """Runs on the node that objects come from."""

    def __init__(self, *, seed: int, objects: int, object_bytes: int) -> None:
        self._seed = seed
        self._objects = objects
        self._object_bytes = object_bytes

    def ready(self) -> None:
        """Return once the actor is up."""

    def make(self, number: int) -> tuple[list[Any], PutResult]:
        """References to the objects of request ``number``; equal seeds give equal content."""
        start_s = time.time()
        refs, digests = [], []
        for index in range(self._objects):
            content = self._content(number, index)
            digests.append(digest(content))
            refs.append(ray.put(content))
        return refs, PutResult(digests=digests, start_s=start_s, end_s=time.time())

    def _content(self, number: int, index: int) -> npt.NDArray[np.uint8]:
        generator = np.random.default_rng([self._seed, number, index])
        words = generator.integers(0, 2**64, size=-(-self._object_bytes // 8), dtype=np.uint64)
        return words.view(np.uint8)[: self._object_bytes]


class Receiver:
    """Runs on the node that objects go to."""

    def __init__(self) -> None:
        self._held: list[npt.NDArray[np.uint8]] = []
        self._pulls = 0

    def ready(self) -> None:
        """Return once the actor is up."""

    def pull(self, refs: list[Any]) -> PullTimes:
        """Get all of them concurrently, and keep them."""
        start_s = time.time()
        self._pulls += 1
        number = self._pulls
        self._held = ray.get(refs)
        return PullTimes(number=number, start_s=start_s, end_s=time.time())

    def check(self) -> Received:
        """Hash what was received, and release it."""
        held, self._held = self._held, []
        return Received(digests=[digest(content) for content in held], bytes=sum(c.nbytes for c in held))


def digest(content: npt.NDArray[np.uint8]) -> str:
    """xxh3-128, in hex."""
    return xxhash.xxh3_128_hexdigest(content.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPair:
    """A sender and a receiver that run."""

    sender: Any
    """Actor handles."""
    receiver: Any

    @classmethod
    @contextmanager
    def between(
        cls, sender_id: str, receiver_id: str, *, seed: int, objects: int, object_bytes: int, timeout_s: float
    ) -> Iterator["TransferPair"]:
        """On the two nodes with these ids of Ray's, for as long as the context lasts.

        ray.exceptions.RayError if they are not up within ``timeout_s``.
        """
        sender = _actor(Sender, sender_id).remote(seed=seed, objects=objects, object_bytes=object_bytes)
        receiver = _actor(Receiver, receiver_id).remote()
        try:
            ray.get([actor.ready.remote() for actor in (sender, receiver)], timeout=timeout_s)
            yield cls(sender=sender, receiver=receiver)
        finally:
            ray.kill(sender)
            ray.kill(receiver)

    def actors(self, sender: str, receiver: str) -> dict[str, Any]:
        """The handles by the names of their nodes."""
        return {sender: self.sender, receiver: self.receiver}

    def move(self, number: int, timeout_s: float) -> TransferResult:
        """One request: put, timed pull, check. RayError if the sender cannot put its objects."""
        refs, made = ray.get(self.sender.make.remote(number), timeout=timeout_s)
        pulled: PullTimes | None = None
        arrived: Received | None = None
        error: str | None = None
        sent_unix_s, sent_s = time.time(), time.monotonic()
        try:
            pulled = ray.get(self.receiver.pull.remote(refs), timeout=timeout_s)
        except ray.exceptions.GetTimeoutError:
            error = f"the objects did not arrive within load.timeout_s={timeout_s:g}"
        except ray.exceptions.RayError as failure:
            error = reason(failure)
        done_s = time.monotonic()
        # Without references the stores may drop the objects.
        del refs
        if error is None:
            arrived = ray.get(self.receiver.check.remote(), timeout=timeout_s)
        return TransferResult(
            number=number,
            sent_s=sent_s,
            done_s=done_s,
            sent_unix_s=sent_unix_s,
            made=made,
            pulled=pulled,
            arrived=arrived,
            error=error,
        )


def _actor(kind: type, node_id: str) -> Any:
    where = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(kind).options(num_cpus=0, scheduling_strategy=where)


def reason(error: Exception) -> str:
    """One line with what was raised in the actor, if Ray passes that on."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {next(iter(str(cause).strip().splitlines()), 'no reason given')}"
