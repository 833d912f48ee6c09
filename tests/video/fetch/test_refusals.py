"""What is wrong with an address or its server is said as it is, and asked for once if it will not change."""

import socket
from pathlib import Path

import pytest

from tests.video.support.remote_servers import OK, answering, answering_securely, fetch
from vbench.video.errors import VideoError, VideoUnreachableError
from vbench.video.fetch import download, http_connection
from vbench.video.fetch.download import fetch_video, redacted
from vbench.video.fetch.local_files import real_roots
from vbench.video.types import VideoLimits


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 600 What\r\n\r\n", "cannot be read: HTTP 600"),
        (b"HTTP/1.1 999 What\r\n\r\n", "cannot be read: HTTP 999"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n", "the response header has more than 100 lines"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "redirects without a target"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://a..b/\r\n\r\n", "redirects to a malformed address"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://a.example:0/\r\n\r\n", "redirects to a malformed address"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\n\r\n", "redirects to a malformed address"),
        (
            b"HTTP/1.1 401 No\r\n\r\n",
            r"HTTP 401, access denied; use an address that needs no login",
        ),
        (
            b"HTTP/1.1 403 No\r\n\r\n",
            r"HTTP 403, access denied; use an address that needs no login",
        ),
    ],
)
def test_what_will_not_change_is_said_at_once(answer: bytes, said: str) -> None:
    with answering(answer) as server, pytest.raises(VideoError, match=said) as caught:
        fetch(server.url)
    assert len(server.asked) == 1
    assert not isinstance(caught.value, VideoUnreachableError)


def test_a_busy_server_did_not_break_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "BACK_OFF_S", (0.0, 0.0, 0.0, 0.0))
    with (
        answering(b"HTTP/1.1 503 Busy\r\n\r\n") as server,
        pytest.raises(VideoUnreachableError, match=r"cannot be fetched: 5 attempts .* \(HTTP 503\); check"),
    ):
        fetch(server.url)


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_a_name_that_nobody_has_is_looked_up_once(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def unknown(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(code, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(VideoError, match="unknown host name; check the address"):
        fetch("http://nobody.example/a.mp4")
    assert asked == ["nobody.example"]


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", ".a"])
def test_a_name_that_nobody_can_have_is_said(host: str) -> None:
    with pytest.raises(VideoError, match="invalid host name; each part between dots must have 1 to 63"):
        fetch(f"http://{host}/a.mp4")


def test_port_0_is_not_taken_for_another() -> None:
    with pytest.raises(VideoError, match=r"http://127.0.0.1:0/a cannot be fetched: port 0 is invalid"):
        fetch("http://127.0.0.1:0/a")


def test_an_ipv6_address_is_shown_as_it_is_written() -> None:
    assert redacted("http://me:secret@[::1]:80/a?b") == "http://[::1]:80/a"
    assert redacted("http://[2606:4700::1111]/a") == "http://[2606:4700::1111]/a"


@pytest.mark.parametrize("before", [" ", "\t", "\n", "  ", "\u00a0", '"', "'", "<", "\ufeff"])
@pytest.mark.parametrize("scheme", ["http", "S3"])
def test_an_address_behind_a_space_is_no_path_whose_password_is_shown(
    before: str, scheme: str, tmp_path: Path
) -> None:
    for roots in (None, real_roots([tmp_path])):
        with (
            pytest.raises(VideoError, match=rf"remove the characters before {scheme}:") as caught,
            fetch_video(f"{before}{scheme}://me:secret@h/a", limits=VideoLimits(), timeout_s=1, roots=roots),
        ):
            pass
        assert "secret" not in str(caught.value)


def test_https_is_not_left_for_http_by_a_redirect_of_a_redirect(
    tls_certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first address was plain, the second one not."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls_certificate))
    http_connection._tls.cache_clear()
    monkeypatch.setattr("vbench.video.fetch.http.is_public", lambda _: True)
    monkeypatch.setattr(http_connection, "is_host_address", lambda *_: False)
    try:
        with (
            answering(OK) as third,
            answering_securely(
                tls_certificate, f"HTTP/1.1 302 Found\r\nLocation: {third.url}\r\n\r\n".encode()
            ) as second,
            answering(f"HTTP/1.1 302 Found\r\nLocation: {second}\r\n\r\n".encode()) as first,
        ):
            with pytest.raises(VideoError, match="redirects from https to http"):
                fetch(first.url)
            assert third.asked == []
    finally:
        http_connection._tls.cache_clear()
