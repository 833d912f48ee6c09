"""References to a deployment's response: got, waited for and measured without fetching the object."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import ray
from ray.experimental import get_local_object_locations

Response = Any
"""A Serve DeploymentResponse."""
ObjectRef = Any
"""A Ray ObjectRef."""
Handle = Any
"""A Serve DeploymentHandle."""


MOST_WAITERS = 64
"""Objects waited for at a time with Ray before 2.60, in one replica."""


def by_reference(handle: Handle) -> Handle:
    """The handle with responses that have a reference, also where Serve's handles pass values over gRPC
    (``RAY_SERVE_USE_GRPC_BY_DEFAULT``)."""
    return handle.options(_by_reference=True)


async def response_reference(response: Response) -> ObjectRef:
    """The reference to what a deployment will return. Awaiting the response itself would fetch it."""
    return await response._to_object_ref()


async def object_existence(reference: ObjectRef) -> None:
    """Wait until the object, or the error in its place, exists on some node.

    ``await reference`` and ``ObjectRef.future()`` leave a reference cycle behind in Ray 2.60, so that objects
    fill the stores until a full garbage collection. Ray 2.58 and 2.59 cannot call back: there a thread waits.
    """
    loop = asyncio.get_running_loop()
    if not hasattr(reference, "_on_ready"):
        while not await loop.run_in_executor(_waiters(), _exists_soon, reference):
            pass
        return
    exists: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not exists.done():
            exists.set_result(None)

    stop_waiting = reference._on_ready(lambda _: loop.call_soon_threadsafe(settle))
    try:
        await exists
    finally:
        stop_waiting()


def _exists_soon(reference: ObjectRef) -> bool:
    """Whether the object exists within a second; a waiter whose request is cancelled is free after that."""
    return bool(ray.wait([reference], timeout=1.0, fetch_local=False)[0])


@cache
def _waiters() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=MOST_WAITERS, thread_name_prefix="object-existence")


def object_size(reference: ObjectRef) -> int | None:
    """Serialized bytes of an object that exists; None if unknown, as after its owner's death."""
    size: int | None = get_local_object_locations([reference])[reference]["object_size"]
    return size or None
