"""The body of an HTTP response, framed strictly (RFC 9112): ambiguity is an error, not a shorter file.

``http.client`` reads the header, and ignores a length or an encoding that it does not understand.
"""

import io
import re
from collections.abc import Iterable
from email import errors
from email.message import Message

from vbench.video.fetch.tls_socket import TooLongError

LINE_BYTES = 64 << 10
"""Longest line with a chunk's size and extensions, and longest trailer line."""

_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r?\n", re.DOTALL)

_NO_FIELDS = (
    errors.FirstHeaderLineIsContinuationDefect,
    errors.InvalidHeaderDefect,
    errors.MisplacedEnvelopeHeaderDefect,
    errors.MissingHeaderBodySeparatorDefect,
)
"""Parser defects of header lines that are not fields; after the last of these, fields are lost."""


class UnclearBodyError(Exception):
    """The header does not say how the body is encoded, or where it ends."""


class BrokenBodyError(Exception):
    """The body is cut off or malformed."""


def tokens(header: Message, name: str) -> list[str]:
    """The elements of all lines of a header field, in lower case."""
    lines = header.get_all(name, [])
    return [token for line in lines for token in (part.strip().lower() for part in line.split(",")) if token]


def check_fields(header: Message) -> None:
    """Raise UnclearBodyError if a line of the header is not a field."""
    if any(isinstance(defect, _NO_FIELDS) for defect in header.defects):
        raise UnclearBodyError("a line of the response header is not HTTP")


def is_chunked(header: Message) -> bool:
    """Whether the body is chunked; UnclearBodyError if it has any other transfer encoding."""
    encodings = tokens(header, "Transfer-Encoding")
    if encodings not in ([], ["chunked"]) or (not encodings and "Transfer-Encoding" in header):
        raise UnclearBodyError("the response has a Transfer-Encoding other than chunked")
    return bool(encodings)


def length_of(header: Message) -> int | None:
    """Bytes of a body that is not chunked; None if the header has no length.

    Intermediaries may merge equal lengths into ``n, n`` (RFC 9110, 8.6).
    """
    lines: Iterable[str] = header.get_all("Content-Length", [])
    stated = {part.strip() for line in lines for part in line.split(",")}
    if not stated:
        return None
    if not all(_LENGTH.fullmatch(part) for part in stated):
        raise UnclearBodyError("the response has an invalid Content-Length")
    lengths = {int(part) for part in stated}
    if len(lengths) > 1:
        raise UnclearBodyError("the response has more than one Content-Length")
    return lengths.pop()


class Body:
    """What follows the header of a response."""

    def __init__(self, source: io.BufferedReader, *, length: int | None, chunked: bool) -> None:
        """``length``: bytes; None to read to the end of the connection."""
        self._source, self._chunked = source, chunked
        self._left = None if chunked else length
        self._ended = False

    def read(self, max_bytes: int) -> bytes:
        """The next bytes, at most ``max_bytes``, as soon as there are some; empty at the end.

        A body that is shorter than its length just ends.

        Raises:
            BrokenBodyError: a chunk is malformed, or the connection ended in it.
            TooLongError: a line between two chunks is longer than ``LINE_BYTES``.
        """
        if self._ended:
            return b""
        if self._chunked and not self._left:
            self._next_chunk()
        block = b"" if self._left == 0 else self._source.read1(min(max_bytes, self._left or max_bytes))
        if self._left is not None:
            self._left -= len(block)
        if self._chunked and not block and not self._ended:
            raise BrokenBodyError("the server closed the connection in the middle of a chunk")
        return block

    def _next_chunk(self) -> None:
        if self._left is not None and (end := self._source.read(2)) != b"\r\n":
            raise BrokenBodyError(
                "its chunks are longer than their sizes"
                if len(end) == 2
                else "the server closed the connection"
            )
        line = self._line()
        chunk = _CHUNK.fullmatch(line)
        if chunk is None:
            raise BrokenBodyError(
                "the server sends a chunk without a size"
                if line.endswith(b"\n")
                else "the server closed the connection"
            )
        self._left = int(chunk[1], 16)
        if self._left == 0:
            while self._line() not in (b"\r\n", b"\n", b""):
                pass
            self._ended = True

    def _line(self) -> bytes:
        line = self._source.readline(LINE_BYTES + 1)
        if len(line) > LINE_BYTES:
            raise TooLongError(f"the server sends a line of more than {LINE_BYTES} bytes")
        return line
