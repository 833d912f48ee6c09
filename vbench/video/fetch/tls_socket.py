"""TLS over a connected socket in small steps, so that the caller can check its deadline between them.

A socket wrapped by ``ssl`` stays in OpenSSL as long as records without data keep coming, whatever its
timeout. Here OpenSSL gets at most ``STEP_BYTES`` before it returns.
"""

import socket
import ssl
from contextlib import suppress
from typing import Any

STEP_BYTES = 16 << 10
"""Bytes that OpenSSL gets in one step: about one record (RFC 8446, 5.1)."""

MAX_EMPTY_RECORD_BYTES = 256 << 10
"""Most bytes of records without data in a row. OpenSSL accepts certificates of 100 KiB in a handshake."""


class TooLongError(Exception):
    """The server sent more bytes besides the file than it has reason to."""


class TlsSocket:
    """The client's end, with those methods of a socket that its user needs.

    ``handshake`` and ``recv_into`` return None if bytes came but more are needed: call them again. The
    socket's timeout bounds each step.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, host: str) -> None:
        """``host``: the name in the server's certificate."""
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._unsent = b""
        self._empty_record_bytes = 0
        """Bytes received since the last data."""

    def settimeout(self, seconds: float) -> None:
        """Set the timeout of each step."""
        self._sock.settimeout(seconds)

    def handshake(self) -> bool | None:
        """One step of the handshake; True once it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._feed()
            return None
        except ssl.SSLError as error:
            self._check_end(error)
            raise
        with suppress(TimeoutError):
            self._flush()
        return True

    def send(self, data: Any) -> int:
        """Accept some of ``data``; returns how many bytes. They are sent now, or by the next step."""
        self._flush()
        count: int = self._tls.write(memoryview(data)[:STEP_BYTES])
        with suppress(TimeoutError):
            self._flush()
        return count

    def recv_into(self, buffer: Any) -> int | None:
        """Receive bytes; returns 0 at an end that the server confirmed, raises SSLEOFError at any other."""
        try:
            count = int(self._tls.read(len(buffer), buffer))
        except ssl.SSLWantReadError:
            self._feed()
            return None
        except ssl.SSLError as error:
            self._check_end(error)
            raise
        self._empty_record_bytes = 0
        return count

    def close(self) -> None:
        """Drop the connection."""
        self._sock.close()

    def _check_end(self, error: ssl.SSLError) -> None:
        """Raise SSLEOFError if the server cut the connection; Python 3.11.2 raises another error."""
        if self._incoming.eof and not isinstance(error, ssl.SSLCertVerificationError):
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended without close_notify") from error

    def _feed(self) -> None:
        self._flush()
        if self._empty_record_bytes > MAX_EMPTY_RECORD_BYTES:
            raise TooLongError(
                f"the server sends more than {MAX_EMPTY_RECORD_BYTES} bytes of TLS records without data"
            )
        block = self._sock.recv(STEP_BYTES)
        self._empty_record_bytes += len(block)
        if block:
            self._incoming.write(block)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        while self._unsent or self._outgoing.pending:
            self._unsent = self._unsent or self._outgoing.read()
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
