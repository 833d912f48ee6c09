"""What a server says costs little memory, is never decoded, and is not passed on to the client."""

import socket
import threading

import pytest

from tests.video.support.remote_servers import OK, answering, fetch, forever
from vbench.video.errors import VideoError, VideoUnreachableError
from vbench.video.fetch import http


def test_who_asks_is_told_to_the_host_that_was_named_with_it_alone() -> None:
    def answer(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(OK if len(server.asked) > 1 else b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")

    with answering(answer) as server:
        assert fetch(server.url.replace("127", "me:secret@127")) == b"abc"
        assert [b"Authorization: Basic bWU6c2VjcmV0\r\n" in asked for asked in server.asked] == [True, True]


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: ", b"", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
@pytest.mark.parametrize("block", [b"X-Filler: " + b"a" * 8000 + b"\r\n", b"b" * 8000])
def test_a_header_is_bounded_in_bytes(head: bytes, block: bytes) -> None:
    said = (
        r"cannot be fetched: "
        r"(the response header has more than|the server sends a line of more|the response is not)"
    )
    with answering(forever(head, block)) as server, pytest.raises(VideoError, match=said):
        fetch(server.url)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "block"),
    [
        (b"3\r\nabc\r\n0\r\n", b"A: b\r\n"),
        (b"3\r\nabc\r\n0\r\n", b"A: " + b"b" * 60_000 + b"\r\n"),
        (b"100000\r\n" + bytes(1 << 20) + b"\r\n0\r\n", b"A: " + b"b" * 1000 + b"\r\n"),
        (b"1;x=", b"a" * 1000),
        (b"", b"1;" + b"a" * 60_000 + b"\r\nx\r\n"),
        (b"", b"1;" + b"a" * 60 + b"\r\nx\r\n"),
    ],
    ids=["trailers", "long trailers", "trailers of a long body", "an extension", "extensions", "short ones"],
)
def test_what_comes_beside_a_chunked_body_is_bounded_in_bytes(head: bytes, block: bytes) -> None:
    sent = [0]

    def answer(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(CHUNKED + head)
        many = block * max(1, 100_000 // len(block))
        while not ended.is_set():
            connection.sendall(many)
            sent[0] += len(many)

    said = r"cannot be read: the server sends (far more chunk headers or trailers|a line of more)"
    with answering(answer) as server, pytest.raises(VideoError, match=said):
        fetch(server.url)
    assert sent[0] < 20_000_000, "little more than what the kernel's buffers take"


@pytest.mark.parametrize("head", [b"1;", b"3\r\nabc\r\n0\r\nA: "])
def test_what_comes_beside_a_chunked_body_is_bounded_in_time(
    head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before the deadline, although each byte comes soon enough."""
    monkeypatch.setattr(http, "READ_TIMEOUT_S", 0.1)
    with (
        answering(forever(CHUNKED + head, b"a", 0.02)) as server,
        pytest.raises(
            VideoUnreachableError, match=r"interrupted 5 times .*no more of the file arrived for 0.1 s"
        ),
    ):
        fetch(server.url, timeout_s=60)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
        b"HTTP/1.1 102 Processing\r\n\r\n" * 20 + CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b'2;name="value"\r\nab\r\n1\r\nc\r\n0\r\nDigest: x\r\nServer-Timing: y\r\n\r\n',
    ],
    ids=["interim responses", "many of them", "extensions and trailers"],
)
def test_what_servers_may_send_beside_a_body_is_left_out(answer: bytes) -> None:
    with answering(answer) as server:
        assert fetch(server.url) == b"abc"


def test_chunks_of_a_single_byte_are_read() -> None:
    body = bytes(range(256)) * 400
    with answering(CHUNKED + b"".join(b"1\r\n%c\r\n" % x for x in body) + b"0\r\n\r\n") as server:
        assert fetch(server.url) == body


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "identity, gzip"])
def test_compressed_content_is_refused_not_decoded(encoding: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n".encode()
    with answering(head + b"\x1f\x8b") as server:
        with pytest.raises(VideoError, match="the server sends it compressed although it was asked not to"):
            fetch(server.url)
        assert b"Accept-Encoding: identity\r\n" in server.asked[0]


def test_a_compressed_transfer_is_refused() -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n") as server,
        pytest.raises(VideoError, match="the server sends it compressed"),
    ):
        fetch(server.url)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-INTERNAL_9.6\r\n",
        b"220 INTERNAL ESMTP\r\n",
        b"HTTP/1.1 403 INTERNAL-secret\r\n\r\nINTERNAL",
        b"HTTP/1.1 401 INTERNAL\r\nWWW-Authenticate: Basic realm=INTERNAL\r\n\r\n",
        b"HTTP/1.1 206 OK\r\nContent-Range: INTERNAL\r\n\r\n",
        b"HTTP/1.1 302 INTERNAL\r\nLocation: INTERNAL://x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: INTERNAL\r\n\r\n",
        b"HTTP/1.1 503 INTERNAL\r\n\r\n",
        b"-ERR INTERNAL wrong number of arguments\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nINTERNAL\r\n",
    ],
)
def test_nothing_that_a_server_says_is_told(answer: bytes) -> None:
    with answering(answer) as server, pytest.raises(VideoError) as caught:
        fetch(server.url)
    assert "internal" not in str(caught.value).lower()
