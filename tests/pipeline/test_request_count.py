"""The API and the proxy count each HTTP request, whatever becomes of it, and report it with each response."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vbench.clusters.ray_node import node_environment
from vbench.config.schema import RuntimeConfig
from vbench.pipeline import front, request_count
from vbench.pipeline.request_count import API_COUNT, NUMBER, PROXY_COUNT, CountsRequests, read_count
from vbench.ray_internals.serve import PROXY_CALLBACK_VARIABLE

COUNT = API_COUNT.lower().encode()
PROXIED = PROXY_COUNT.lower().encode()


class Counted:
    """Requests to an application that answers with the status in the path, those with ``/wait`` at its end
    only when told."""

    def __init__(self) -> None:
        self.numbers: list[Any] = []
        self.told = asyncio.Event()
        self.app: ASGIApp = CountsRequests(self.answer, API_COUNT)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.numbers.append(scope.get(NUMBER))
        if scope.get("path") == "/wait":
            await self.told.wait()
        await send({"type": "http.response.start", "status": 404, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b""})

    async def ask(
        self, path: str = "/", kind: str = "http", headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> list[tuple[bytes, bytes]]:
        """The response's headers."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        await self.app({"type": kind, "method": "GET", "path": path, "headers": headers}, receive, send)
        return list(sent[0]["headers"])


def test_each_request_has_its_number_and_each_response_the_count_so_far() -> None:
    async def run() -> None:
        counted = Counted()
        waiting = asyncio.create_task(counted.ask("/wait"))
        await asyncio.sleep(0)
        assert await counted.ask() == [(b"a", b"b"), (COUNT, b"2")]
        assert await counted.ask("/nowhere") == [(b"a", b"b"), (COUNT, b"3")]
        counted.told.set()
        # Those that came in while it waited are counted.
        assert (COUNT, b"3") in await waiting
        assert counted.numbers == [1, 2, 3]

    asyncio.run(run())


def test_a_lifespan_is_no_request_and_a_websocket_is_one() -> None:
    async def run() -> None:
        counted = Counted()
        assert await counted.ask(kind="lifespan") == [(b"a", b"b")]
        await counted.ask(kind="websocket")
        assert counted.numbers == [None, 1]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "count"),
    [({COUNT.decode(): "12"}, 12), ({}, None), ({COUNT.decode(): "-1"}, None), ({COUNT.decode(): "²"}, None)],
)
def test_a_count_is_read_from_a_response(headers: dict[str, str], count: int | None) -> None:
    assert read_count(headers, API_COUNT) == count


def test_the_proxies_of_trials_count() -> None:
    assert (
        node_environment(RuntimeConfig())[PROXY_CALLBACK_VARIABLE]
        == "vbench.pipeline.request_count:middleware"
    )
    assert [one.cls for one in request_count.middleware()] == [CountsRequests]


def test_a_proxy_with_a_front_counts_what_that_refuses_too() -> None:
    async def run() -> None:
        counted = Counted()
        counted.app = front.Front(counted.answer, places=1)
        assert (PROXIED, b"1") in await counted.ask()
        too_large = [(b"x", b"x" * 100_000)]
        assert (PROXIED, b"2") in await counted.ask(headers=too_large)
        assert counted.numbers == [1]

    asyncio.run(run())
