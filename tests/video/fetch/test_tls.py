"""HTTPS sources must prove who they are, and are never left for plain HTTP."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.video.support.remote_servers import LIMITS, OK, answering, answering_securely, fetch
from vbench.video.errors import StoppedError, VideoError, VideoTimeoutError, VideoUnreachableError
from vbench.video.fetch import http_connection, tls_socket
from vbench.video.fetch.download import fetch_video


@pytest.fixture
def trusted(tls_certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The certificate, while what it proves is believed."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls_certificate))
    http_connection._tls.cache_clear()
    yield tls_certificate
    http_connection._tls.cache_clear()


HELLO_REQUESTS = b"\x16\x03\x03\x40\x00" + bytes(0x4000)
"""A record of 4,096 messages that ask a client for the ClientHello that it has sent (RFC 5246, 7.4.1.1)."""


def flood(connection: socket.socket, ended: threading.Event) -> None:
    while not ended.is_set():
        connection.sendall(HELLO_REQUESTS * 64)


def test_a_handshake_is_bounded_in_bytes() -> None:
    with (
        answering(flood) as server,
        pytest.raises(VideoError, match="cannot be fetched: the server sends more than 262144 bytes of TLS"),
    ):
        fetch(server.url.replace("http:", "https:"), timeout_s=60)


def test_a_handshake_without_end_is_left_at_the_deadline_and_when_nobody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenSSL would go on as long as there are messages."""
    monkeypatch.setattr(tls_socket, "MAX_EMPTY_RECORD_BYTES", 1 << 40)
    with answering(flood) as server:
        url = server.url.replace("http:", "https:")
        began = time.monotonic()
        with pytest.raises(VideoTimeoutError, match=r"was not fetched within 0\.5 s"):
            fetch(url, timeout_s=0.5)
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(StoppedError), fetch_video(url, limits=LIMITS, timeout_s=60, stop=stop):
            pass
        assert time.monotonic() - began < 4


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_https_brings_large_files_unchanged(trusted: Path, version: ssl.TLSVersion) -> None:
    body = bytes(range(256)) * 20_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    with answering_securely(trusted, head + body, version) as url:
        assert fetch(url) == body


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_end_that_the_server_did_not_confirm_is_no_end(trusted: Path, version: ssl.TLSVersion) -> None:
    """Without a length, anybody on the way could cut the file (RFC 9112, 9.8)."""
    answer = b"HTTP/1.1 200 OK\r\n\r\nabc"
    with (
        answering_securely(trusted, answer, version) as url,
        pytest.raises(VideoUnreachableError, match="the server cut the connection"),
    ):
        fetch(url)
    with answering_securely(trusted, answer, version, confirm_end=True) as url:
        assert fetch(url) == b"abc"


def test_https_is_read_proven_and_never_left_for_http(
    tls_certificate: Path, request: pytest.FixtureRequest
) -> None:
    http_connection._tls.cache_clear()
    with (
        answering_securely(tls_certificate, OK) as url,
        pytest.raises(VideoError, match="certificate is not valid"),
    ):
        fetch(url)
    request.getfixturevalue("trusted")
    with answering_securely(tls_certificate, OK) as url:
        assert fetch(url) == b"abc"
    with (
        answering_securely(
            tls_certificate, b"HTTP/1.1 302 Found\r\nLocation: http://8.8.8.8/\r\n\r\n"
        ) as url,
        pytest.raises(VideoError, match="redirects from https to http"),
    ):
        fetch(url)
