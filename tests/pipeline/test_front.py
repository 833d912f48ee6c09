"""The middleware for Serve's proxy: refuses what exceeds its places, and leaves everything else alone."""

import asyncio
import json
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from vbench.pipeline import front
from vbench.pipeline.api import ReceivesFirst
from vbench.pipeline.api_schema import PATH
from vbench.pipeline.errors import QueueFullError
from vbench.pipeline.problems import problem

Message = MutableMapping[str, Any]
BODY = b'{"video": "/a.mp4"}'


class App:
    """An ASGI application that reads the body, waits until it may go on, and answers with the body."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inside += 1
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


class Call:
    """A request, what was sent of it, and what came back."""

    def __init__(self, *parts: bytes, path: str = PATH, method: str = "POST", whole: bool = True) -> None:
        self.scope = {"type": "http", "method": method, "path": path, "headers": []}
        self.sent: list[Message] = []
        self._messages: list[Message] = [
            {"type": "http.request", "body": part, "more_body": not whole or part is not parts[-1]}
            for part in parts
        ]

    async def receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def through(self, app: front.Front) -> "asyncio.Task[None]":
        return asyncio.ensure_future(app(self.scope, self.receive, self.send))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    def header(self, name: bytes) -> bytes:
        return dict(self.sent[0]["headers"])[name]


def run(test: Callable[[App, front.Front], Any], places: int = 2, **options: float) -> None:
    async def inside() -> None:
        app = App()
        await asyncio.wait_for(test(app, front.Front(app, places=places, **options)), 20)

    asyncio.run(inside())


async def settled(app: App, inside: int) -> None:
    while app.inside < inside:
        await asyncio.sleep(0)


def test_so_many_are_passed_on_and_others_are_told_when_to_return() -> None:
    async def test(app: App, middleware: front.Front) -> None:
        passed = [Call(BODY) for _ in range(3)]
        tasks = [call.through(middleware) for call in passed[:2]]
        await settled(app, 2)

        refused = [Call(BODY) for _ in range(40)]
        for call in refused:
            await call.through(middleware)
        assert app.inside == 2
        assert {call.status for call in refused} == {503}
        waits = [int(call.header(b"retry-after")) for call in refused]
        assert min(waits) >= 1
        assert len(set(waits)) > 4, "they return one after the other"
        assert json.loads(refused[0].body)["detail"].startswith(
            "The service is overloaded: 2 requests are in "
        )

        app.go_on.set()
        await asyncio.gather(*tasks)
        await passed[2].through(middleware)
        assert [(call.status, call.body) for call in passed] == [(200, BODY)] * 3

    run(test)


@pytest.mark.parametrize(("path", "method"), [("/healthz", "GET"), (PATH, "GET"), ("/docs", "GET")])
def test_other_calls_pass_however_many_there_are(path: str, method: str) -> None:
    async def test(app: App, middleware: front.Front) -> None:
        tasks = [Call(BODY, path=path, method=method).through(middleware) for _ in range(9)]
        await settled(app, 9)
        app.go_on.set()
        await asyncio.gather(*tasks)

    run(test)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ([(b"a", b"b")] * 257, "the request has 257 headers, and at most 256 are accepted"),
        ([(b"cookie", b"x" * 70_000)], "the headers of the request have 70006 bytes, and at most 65536 are"),
    ],
)
@pytest.mark.parametrize(("path", "method"), [("/healthz", "GET"), (PATH, "POST"), ("/none", "GET")])
def test_headers_that_are_far_too_large_are_refused_by_the_proxy_and_by_the_api(
    headers: list[tuple[bytes, bytes]], said: str, path: str, method: str
) -> None:
    async def test(app: App, middleware: front.Front) -> None:
        for bounded in (middleware, ReceivesFirst(app)):
            call = Call(BODY, path=path, method=method)
            call.scope["headers"] = headers
            await bounded(call.scope, call.receive, call.send)
            assert (call.status, call.header(b"connection")) == (431, b"close")
            assert json.loads(call.body)["detail"].startswith(said)
        assert app.inside == 0

    run(test)


def test_headers_within_the_bounds_pass() -> None:
    async def test(app: App, middleware: front.Front) -> None:
        app.go_on.set()
        call = Call(BODY)
        call.scope["headers"] = [(b"a", b"b" * 254)] * 256
        await call.through(middleware)
        assert call.status == 200

    run(test)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (b"text/plain; charset=utf-8", b"Request abc timed out after 1e-09s.", 504),
        (b"application/json", b'{"detail": "The body of the request did not arrive within 10 s."}', 408),
    ],
)
def test_the_proxys_own_timeout_is_the_apis_504(kind: bytes, body: bytes, status: int) -> None:
    async def timing_out(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", kind)]
        await send({"type": "http.response.start", "status": 408, "headers": headers})
        await send({"type": "http.response.body", "body": body[:5], "more_body": True})
        await send({"type": "http.response.body", "body": body[5:]})

    async def test(_: App, __: front.Front) -> None:
        call = Call(BODY)
        await call.through(front.Front(timing_out, places=1))
        assert (call.status, call.header(b"content-type")) == (status, b"application/json")
        assert (json.loads(call.body)["detail"] == front.PROXY_GAVE_UP) == (status == 504)

    run(test)


def test_half_sent_requests_take_no_place() -> None:
    async def test(app: App, middleware: front.Front) -> None:
        silent = [Call() for _ in range(9)]
        partly = [Call(BODY[:5], whole=False) for _ in range(9)]
        tasks = [call.through(middleware) for call in (*silent, *partly)]
        await settled(app, 18)
        good = Call(BODY)
        app.go_on.set()
        await good.through(middleware)
        assert (good.status, good.body) == (200, BODY)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(test, whole_within_s=0.01)


def test_a_place_is_free_again_when_the_application_fails_or_its_client_leaves() -> None:
    class Failing(App):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise RuntimeError("lost")

    async def inside() -> None:
        app = App()
        middleware = front.Front(Failing(), places=1)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="lost"):
                await Call(BODY).through(middleware)
        middleware = front.Front(app, places=1)
        task = Call(BODY).through(middleware)
        await settled(app, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        app.go_on.set()
        after = Call(BODY)
        await after.through(middleware)
        assert after.status == 200

    asyncio.run(asyncio.wait_for(inside(), 20))


def test_where_the_api_refuses_the_proxy_does_until_the_queue_is_longer_again() -> None:
    class Refusing(App):
        """Takes two, and refuses further ones as the API does, until ``limit`` is raised."""

        limit = 2

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if self.inside < self.limit:
                await super().__call__(scope, receive, send)
                return
            self.refused += 1
            await problem(QueueFullError("full", 3))(scope, receive, send)

        refused = 0

    async def inside() -> None:
        app = Refusing()
        now_s = 0.0
        middleware = front.Front(app, places=9, clock=lambda: now_s)
        tasks = [Call(BODY).through(middleware) for _ in range(2)]
        await settled(app, 2)
        burst = [Call(BODY) for _ in range(20)]
        await asyncio.gather(*(call.through(middleware) for call in burst))
        assert {call.status for call in burst} == {503}
        assert app.refused == 7, "as many as there are places, of which two are taken"
        burst = [Call(BODY) for _ in range(20)]
        await asyncio.gather(*(call.through(middleware) for call in burst))
        assert {call.status for call in burst} == {503}
        assert app.refused == 8, "one more than the API takes"
        app.limit = 9
        for in_use in range(3, 10):  # each widens it by half, a second after the one before
            now_s += 1.1
            tasks.append(Call(BODY).through(middleware))
            await settled(app, in_use)
        app.go_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(asyncio.wait_for(inside(), 20))


def test_serve_is_given_starlette_middleware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(front.PLACES, "5")
    (only,) = front.middleware()
    assert only.cls is front.Front
    assert only.kwargs == {"places": 5}
    monkeypatch.delenv(front.PLACES)
    (only,) = front.middleware()
    assert only.kwargs == {"places": front.DEFAULT_PLACES}


@pytest.mark.parametrize("given", ["", "0", "-1", "many", "1.5"])
def test_places_that_are_no_number_are_named(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(front.PLACES, given)
    with pytest.raises(
        ValueError, match=f"VBENCH_PROXY_PLACES={given} is not a whole number above 0: give one"
    ):
        front.middleware()
