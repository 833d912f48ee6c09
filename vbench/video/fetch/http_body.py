"""The body of an HTTP response, framed strictly (RFC 9112): what is unclear is an error, not a shorter file.

``http.client`` reads the header. It takes a length or an encoding that it does not understand for none.
"""

import io
import re
from collections.abc import Iterable
from email import errors
from email.message import Message

from vbench.video.fetch.tls_socket import TooLongError

LINE_BYTES = 64 << 10
"""Longest line that gives a chunk's size, its extensions included, and longest trailer."""

_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r?\n", re.DOTALL)

_NO_FIELDS = (
    errors.FirstHeaderLineIsContinuationDefect,
    errors.InvalidHeaderDefect,
    errors.MisplacedEnvelopeHeaderDefect,
    errors.MissingHeaderBodySeparatorDefect,
)
"""Lines of a header that are no fields; what follows the last of these kinds is lost."""


class UnclearBodyError(Exception):
    """The header does not say what the body is, or where it ends."""


class BrokenBodyError(Exception):
    """The body ends, or stops to make sense, before its end."""


def tokens(header: Message, name: str) -> list[str]:
    """The elements of all lines of a header field, in small letters."""
    lines = header.get_all(name, [])
    return [token for line in lines for token in (part.strip().lower() for part in line.split(",")) if token]


def check_fields(header: Message) -> None:
    """UnclearBodyError if a line of the header is no field."""
    if any(isinstance(defect, _NO_FIELDS) for defect in header.defects):
        raise UnclearBodyError("a line of its header is not HTTP")


def is_chunked(header: Message) -> bool:
    """Whether the body comes in chunks; UnclearBodyError if it is encoded in any other way."""
    encodings = tokens(header, "Transfer-Encoding")
    if encodings not in ([], ["chunked"]) or (not encodings and "Transfer-Encoding" in header):
        raise UnclearBodyError("its header has a Transfer-Encoding other than chunked")
    return bool(encodings)


def length_of(header: Message) -> int | None:
    """Bytes of a body that does not come in chunks; None if the header has no length.

    Servers on the way may merge equal lengths to ``n, n`` (RFC 9110, 8.6).
    """
    lines: Iterable[str] = header.get_all("Content-Length", [])
    stated = {part.strip() for line in lines for part in line.split(",")}
    if not stated:
        return None
    if not all(_LENGTH.fullmatch(part) for part in stated):
        raise UnclearBodyError("its header has a Content-Length that is no length")
    lengths = {int(part) for part in stated}
    if len(lengths) > 1:
        raise UnclearBodyError("its header has more than one Content-Length")
    return lengths.pop()


class Body:
    """What follows the header."""

    def __init__(self, source: io.BufferedReader, *, length: int | None, chunked: bool) -> None:
        """``length``: None to read on to the end of the connection."""
        self._source, self._chunked = source, chunked
        self._left = None if chunked else length
        self._ended = False

    def read(self, most: int) -> bytes:
        """The next bytes, ``most`` at most, as soon as there are some; none at the end.

        A body that is shorter than its length just ends.

        Raises:
            BrokenBodyError: a chunk is not one, or the connection ended in it.
            TooLongError: a line between two chunks is longer than ``LINE_BYTES``.
        """
        if self._ended:
            return b""
        if self._chunked and not self._left:
            self._next_chunk()
        block = b"" if self._left == 0 else self._source.read1(min(most, self._left or most))
        if self._left is not None:
            self._left -= len(block)
        if self._chunked and not block and not self._ended:
            raise BrokenBodyError("it closed the connection in the middle of a chunk")
        return block

    def _next_chunk(self) -> None:
        if self._left is not None and (end := self._source.read(2)) != b"\r\n":
            raise BrokenBodyError(
                "its chunks are longer than their sizes" if len(end) == 2 else "it closed the connection"
            )
        line = self._line()
        found = _CHUNK.fullmatch(line)
        if found is None:
            raise BrokenBodyError(
                "it sends a chunk without a size" if line.endswith(b"\n") else "it closed the connection"
            )
        self._left = int(found[1], 16)
        if self._left == 0:
            while self._line() not in (b"\r\n", b"\n", b""):
                pass
            self._ended = True

    def _line(self) -> bytes:
        line = self._source.readline(LINE_BYTES + 1)
        if len(line) > LINE_BYTES:
            raise TooLongError(f"it sends a line of more than {LINE_BYTES} bytes")
        return line
