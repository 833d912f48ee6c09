"""A server that is slow, or drips its answer, holds a request no longer than it may."""

import threading
import time

import pytest

from tests.video.support.remote_servers import LIMITS, answering, fetch, forever
from vbench.video.errors import StoppedError, VideoTimeoutError, VideoUnreachableError
from vbench.video.fetch import fetched_copy, http_connection
from vbench.video.fetch.download import fetch_video


@pytest.mark.parametrize(
    ("head", "drip"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 302 Found\r\nLocation: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
)
def test_a_server_that_drips_is_left_at_the_deadline(head: bytes, drip: bytes) -> None:
    """Each byte comes soon enough: only the total can tell."""
    with answering(forever(head, drip, 0.02)) as server:
        began = time.monotonic()
        with pytest.raises(VideoTimeoutError, match=r"was not fetched within 0\.6 s"):
            fetch(server.url, timeout_s=0.6)
        assert time.monotonic() - began < 3


def test_a_server_that_drips_its_header_is_left_when_nobody_waits() -> None:
    stop = threading.Event()
    with answering(forever(b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.02)) as server:
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        with pytest.raises(StoppedError), fetch_video(server.url, limits=LIMITS, timeout_s=60, stop=stop):
            pass
        assert time.monotonic() - began < 3


def test_a_source_that_is_far_too_slow_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the time is up: who fetches takes a place from others."""
    monkeypatch.setattr(fetched_copy, "SLOW_S", 0.4)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n"
    with answering(forever(head, b"x", 0.02)) as server:
        began = time.monotonic()
        with pytest.raises(VideoUnreachableError, match=r"arrives too slowly: \d+ bytes in 0.4 s"):
            fetch(server.url, timeout_s=60)
        assert time.monotonic() - began < 3


def test_a_header_that_drips_is_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEADER_TIMEOUT_S", 0.1)
    with (
        answering(forever(b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.02)) as server,
        pytest.raises(
            VideoUnreachableError,
            match=r"cannot be fetched: 5 attempts .*the response header did not arrive within 0.1 s",
        ),
    ):
        fetch(server.url, timeout_s=60)


def test_a_tls_handshake_that_does_not_come_ends_at_the_deadline() -> None:
    with answering(lambda connection, ended: ended.wait(20) and None) as server:
        began = time.monotonic()
        with pytest.raises(VideoTimeoutError, match=r"was not fetched within 0\.5 s"):
            fetch(server.url.replace("http:", "https:"), timeout_s=0.5)
        assert time.monotonic() - began < 3
