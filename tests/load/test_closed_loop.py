"""The closed loop keeps its concurrency, sends each request once, and hides no failure."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from vbench.load.closed_loop import HttpRequest, closed_loop
from vbench.pipeline.api_schema import PATH


class Handler(BaseHTTPRequestHandler):
    """Answers once ``barrier`` lets a whole round through, so that concurrency is seen, not timed."""

    protocol_version = "HTTP/1.1"
    barrier: ClassVar[threading.Barrier]
    seen: ClassVar[list[bytes]]
    status: ClassVar[int] = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(body)
        if self.path != PATH:
            self.send_error(404)
            return
        try:
            self.barrier.wait(20)
        except threading.BrokenBarrierError:  # a test lets go of a request it has given up
            return
        answer = b'{"detail": "no"}'
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        """A stream of which the second half comes when the barrier lets it through."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.barrier.wait(20)
        self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Handler.seen, Handler.status = [], 200
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def loop(server: ThreadingHTTPServer, **changes: float) -> list[object]:
    told: list[object] = []
    settings = {"requests_count": 6, "concurrency": 3, "timeout_s": 20.0} | changes
    outcomes = closed_loop(
        (f"http://127.0.0.1:{server.server_port}",),
        lambda _: HttpRequest(method="POST", path=PATH, json={"video": "clip.mp4"}),
        requests_count=int(settings["requests_count"]),
        concurrency=int(settings["concurrency"]),
        timeout_s=settings["timeout_s"],
        answered=told.append,
    )
    assert sorted(o.index for o in outcomes) == list(range(int(settings["requests_count"])))
    assert len(told) == len(outcomes)
    return list(outcomes)


def test_so_many_are_in_flight_as_asked_and_each_is_sent_once(server: ThreadingHTTPServer) -> None:
    Handler.barrier = threading.Barrier(3)
    outcomes = loop(server)
    assert [o.status for o in outcomes] == [200] * 6
    assert [json.loads(body) for body in Handler.seen] == [{"video": "clip.mp4"}] * 6
    assert all(o.scheduled_s <= o.sent_s <= o.done_s for o in outcomes)


def test_the_next_is_due_when_the_one_before_it_is_answered(server: ThreadingHTTPServer) -> None:
    Handler.barrier = threading.Barrier(1)
    first, second, third = loop(server, requests_count=3, concurrency=1)
    assert second.scheduled_s == first.done_s
    assert third.scheduled_s == second.done_s


def test_an_error_status_is_kept_with_its_body(server: ThreadingHTTPServer) -> None:
    Handler.barrier = threading.Barrier(1)
    Handler.status = 422
    (outcome,) = loop(server, requests_count=1, concurrency=1)
    assert (outcome.status, outcome.body, outcome.error) == (422, b'{"detail": "no"}', None)


def test_the_first_byte_of_a_stream_is_not_its_last(server: ThreadingHTTPServer) -> None:
    """Two streams wait for each other in their middle."""
    Handler.barrier = threading.Barrier(2)
    outcomes = closed_loop(
        (f"http://127.0.0.1:{server.server_port}",),
        lambda _: HttpRequest(method="GET", path="/"),
        requests_count=2,
        concurrency=2,
        timeout_s=20,
        answered=lambda _: None,
    )
    assert [one.body for one in outcomes] == [b"firstlast"] * 2
    assert all(one.first_byte_s is not None and one.first_byte_s < one.done_s for one in outcomes)


def test_after_the_first_failure_none_is_sent_any_more(server: ThreadingHTTPServer) -> None:
    Handler.barrier = threading.Barrier(1)
    Handler.status = 500
    outcomes = closed_loop(
        (f"http://127.0.0.1:{server.server_port}",),
        lambda _: HttpRequest(method="POST", path=PATH, json={}),
        requests_count=1000,
        concurrency=2,
        timeout_s=20,
        answered=lambda _: None,
    )
    assert 1 <= len(outcomes) <= 2


def test_no_answer_in_time_is_an_outcome_with_its_reason(server: ThreadingHTTPServer) -> None:
    Handler.barrier = threading.Barrier(2)
    (outcome,) = loop(server, requests_count=1, concurrency=1, timeout_s=0.2)
    assert outcome.status is None
    assert "load.timeout_s=0.2" in outcome.error
    Handler.barrier.abort()


def test_a_server_that_is_not_there_is_an_outcome_with_its_reason() -> None:
    outcomes = closed_loop(
        ("http://127.0.0.1:9",),
        lambda _: HttpRequest(method="POST", path=PATH, json={}),
        requests_count=2,
        concurrency=2,
        timeout_s=5,
        answered=lambda _: None,
    )
    assert all(o.status is None and "connection failed" in str(o.error) for o in outcomes)


def test_requests_go_to_each_address_in_turn(server: ThreadingHTTPServer) -> None:
    Handler.barrier = threading.Barrier(1)
    outcomes = closed_loop(
        (f"http://127.0.0.1:{server.server_port}", "http://127.0.0.1:9"),
        lambda _: HttpRequest(method="POST", path=PATH, json={}),
        requests_count=2,
        concurrency=1,
        timeout_s=5,
        answered=lambda _: None,
    )
    assert [one.status for one in outcomes] == [200, None]
