"""A file arrives whole or not at all, whatever its server writes about where it ends."""

import socket
import threading

import pytest

from tests.video.support.remote_servers import answering, fetch
from vbench.video.errors import VideoError, VideoUnreachableError
from vbench.video.fetch import download

OK = b"HTTP/1.1 200 OK\r\n"
PART = b"HTTP/1.1 206 Partial Content\r\n"
BODY = b"0123456789"
CHUNKS = b"4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"


@pytest.fixture(autouse=True)
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "BACK_OFF_S", (0.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    "lengths",
    [
        *(b"-1", b"+10", b"3;", b"0x3", b"1_0", b"", b"ten", b"10 10", b"9" * 20, b"10, 5", b"10,"),
        *(b"10\r\nContent-Length: 5", b"5\r\nContent-Length: 10", b"10\r\nContent-Length:"),
    ],
)
def test_a_length_that_is_unclear_is_refused(lengths: bytes) -> None:
    with (
        answering(OK + b"Content-Length: " + lengths + b"\r\n\r\n" + BODY) as server,
        pytest.raises(VideoError, match=r"Content-Length.*unclear where the file ends"),
    ):
        fetch(server.url)


def assert_must_be_whole(head: bytes) -> None:
    """Assert that behind this head the whole body is taken, and half of it is not."""
    with answering(head + BODY) as server:
        assert fetch(server.url) == BODY
    with (
        answering(head + BODY[:5]) as server,
        pytest.raises(VideoUnreachableError, match="was interrupted 5 times in a row after 5 of 10 bytes"),
    ):
        fetch(server.url)


@pytest.mark.parametrize("lengths", [b"10, 10", b"10,10 , 010", b"10\r\nContent-Length: 10", b"\r\n 10"])
def test_equal_lengths_are_one(lengths: bytes) -> None:
    assert_must_be_whole(OK + b"Content-Length: " + lengths + b"\r\n\r\n")


@pytest.mark.parametrize(
    "lines",
    [
        *(b"garbage", b"Transfer-Encoding : chunked", b" folded: first", b": no name", b"\x00: a"),
        *(b"Server: x\r\ngarbage", b"Server: x\r\nTransfer-Encoding : chunked", b"Server: x\r\nFrom me"),
    ],
)
def test_a_header_with_a_line_that_is_no_field_is_refused(lines: bytes) -> None:
    """``http.client`` drops all lines after it, and with them the length."""
    with (
        answering(OK + lines + b"\r\nContent-Length: 10\r\n\r\n" + BODY[:5]) as server,
        pytest.raises(VideoError, match="a line of the response header is not HTTP"),
    ):
        fetch(server.url)


@pytest.mark.parametrize(
    "head", [OK, OK + b"Content-Length: 10", OK + b"Content-Length: 10\r\n", b"HTTP/1.1 200 OK", b"HT", b""]
)
def test_a_header_that_is_cut_short_is_not_an_empty_file(head: bytes) -> None:
    with (
        answering(head) as server,
        pytest.raises(VideoUnreachableError, match=r"5 attempts .*\(the server closed the connection\)"),
    ):
        fetch(server.url)


@pytest.mark.parametrize("name", [b"chunked ", b"\tchunked", b"\r\n chunked", b"Chunked", b"chunked,"])
def test_chunks_are_no_part_of_the_file_however_they_are_announced(name: bytes) -> None:
    with answering(OK + b"Transfer-Encoding: " + name + b"\r\n\r\n" + CHUNKS) as server:
        assert fetch(server.url) == BODY


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", "sends it compressed"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding other than chunked"),
        (b"Transfer-Encoding: chunked, chunked", "Transfer-Encoding other than chunked"),
        (b"Transfer-Encoding:", "Transfer-Encoding other than chunked"),
        (b"Transfer-Encoding: xchunked", "sends it compressed"),
        (b"Content-Encoding: identity\r\nContent-Encoding: gzip", "sends it compressed"),
        (b"Content-Encoding:\r\n gzip", "sends it compressed"),
    ],
)
def test_an_encoding_on_any_line_is_refused(fields: bytes, said: str) -> None:
    with (
        answering(OK + fields + b"\r\n\r\n" + CHUNKS) as server,
        pytest.raises(VideoError, match=said),
    ):
        fetch(server.url)


@pytest.mark.parametrize(
    "chunks",
    [
        *(b"3\r\nabcXX0\r\n\r\n", b"3\r\nabc\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n"),
        *(b"+3\r\nabc\r\n0\r\n\r\n", b"-3\r\nabc\r\n0\r\n\r\n", b"1_1\r\nabc", b" 3\r\nabc\r\n0\r\n\r\n"),
        *(b"3\r\nabc\r\n0", b"3\r\nabc\r\n", b"3\r\nabc", b"3\r\nab", b"3\r\nabc\r\n\r\n0\r\n\r\n", b""),
    ],
)
def test_chunks_that_are_none_break_off(chunks: bytes) -> None:
    with (
        answering(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks) as server,
        pytest.raises(VideoUnreachableError, match=r"was interrupted 5 times in a row after [0-3] bytes"),
    ):
        fetch(server.url)


@pytest.mark.parametrize("etag", [b"", b'ETag: "a"\r\n'])
@pytest.mark.parametrize(
    "span",
    [
        b"bytes 0-9/20",
        b"bytes 5-14/15",
        b"bytes 0-9/*",
        b"bytes 0-8/10",
        b"bytes 0-9/9",
        b"items 0-9/10",
        b"",
    ],
)
def test_a_part_that_was_not_asked_for_is_refused(span: bytes, etag: bytes) -> None:
    head = PART + etag + b"Content-Range: " + span + b"\r\nContent-Length: 10\r\n\r\n"
    with (
        answering(head + BODY) as server,
        pytest.raises(
            VideoError, match=r"sends only a part of it \(HTTP 206\) although it was asked for the whole file"
        ),
    ):
        fetch(server.url)


@pytest.mark.parametrize("length", [b"", b"Content-Length: 10\r\n"])
def test_a_part_that_is_all_of_the_file_must_be_whole(length: bytes) -> None:
    assert_must_be_whole(PART + b"Content-Range: bytes 0-9/10\r\n" + length + b"\r\n")


RANGE = b"Content-Range: bytes 5-%s\r\n"


@pytest.mark.parametrize("first", [b"Content-Length: 10\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\n"])
@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (RANGE % b"9/10" + b"\r\n56789", ""),
        (RANGE % b"9/10" + b"Content-Length: 5\r\n\r\n56789", ""),
        (RANGE % b"9/10" + b"Content-Length: 4\r\n\r\n5678", "sent another range"),
        (RANGE % b"7/10" + b"\r\n567", "sent another range"),
        (RANGE % b"9/10" + b"\r\n567", r"interrupted .* of 10 bytes|sent another range"),
        (RANGE % b"9/10" + b"\r\n56789more", "the server announced 10 bytes but sends more"),
        (RANGE % b"9/10" + RANGE % b"6/7" + b"\r\n56", "sent another range"),
    ],
)
def test_the_rest_of_a_file_is_all_of_the_rest(first: bytes, rest: bytes, said: str) -> None:
    etag = b'ETag: "a"\r\n'

    def answer(connection: socket.socket, _: threading.Event) -> None:
        if len(server.asked) == 1:
            connection.sendall(OK + etag + first + BODY[:5])
        else:
            connection.sendall(PART + etag + rest)

    with answering(answer) as server:
        if said:
            with pytest.raises(VideoError, match=said):
                fetch(server.url)
        else:
            assert fetch(server.url) == BODY
