"""What a server says costs little memory, is never decoded, and is not passed on to the client."""

import socket
import threading

import pytest
from remote_servers import OK, answering, fetch, forever

from vbench.video.errors import VideoError


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
    said = r"cannot be asked for: its (header has more than|answer is not HTTP)"
    with answering(forever(head, block)) as server, pytest.raises(VideoError, match=said):
        fetch(server.url)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "identity, gzip"])
def test_compressed_content_is_refused_not_decoded(encoding: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n".encode()
    with answering(head + b"\x1f\x8b") as server:
        with pytest.raises(VideoError, match="its server sends it compressed, and was asked not to"):
            fetch(server.url)
        assert b"Accept-Encoding: identity\r\n" in server.asked[0]


def test_a_compressed_transfer_is_refused() -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n") as server,
        pytest.raises(VideoError, match="its server sends it compressed"),
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
