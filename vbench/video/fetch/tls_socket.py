"""TLS over a connected socket in small steps, so that whoever waits can check the time between them.

A socket wrapped by ``ssl`` stays in OpenSSL as long as messages without data keep coming, whatever its
timeout.
Here OpenSSL gets ``STEP_BYTES`` at most before it returns.
"""

import socket
import ssl
from contextlib import suppress
from typing import Any

STEP_BYTES = 16 << 10
"""What OpenSSL is given in one step: about one record (RFC 8446, 5.1)."""

BARREN_BYTES = 256 << 10
"""Most bytes that may come without any data in them. OpenSSL takes certificates of 100 KiB in a handshake."""


class TooLongError(Exception):
    """More bytes came that are not the file's than a server has reason to send."""


class TlsSocket:
    """The client's end, with the methods of a socket that it needs.

    ``handshake`` and ``recv_into`` return None if something came but more is needed: call them again. The
    timeout of the socket bounds each step.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, host: str) -> None:
        """``host``: who the server must prove to be."""
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._unsent = b""
        self._barren_bytes = 0
        """Received since the last data."""

    def settimeout(self, seconds: float) -> None:
        """For each step from now on."""
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
        """Take some of ``data``; how many bytes. They are sent now, or by the next step."""
        self._flush()
        count: int = self._tls.write(memoryview(data)[:STEP_BYTES])
        with suppress(TimeoutError):
            self._flush()
        return count

    def recv_into(self, buffer: Any) -> int | None:
        """The next bytes; 0 at an end that the server confirmed, SSLEOFError at any other."""
        try:
            count = int(self._tls.read(len(buffer), buffer))
        except ssl.SSLWantReadError:
            self._feed()
            return None
        except ssl.SSLError as error:
            self._check_end(error)
            raise
        self._barren_bytes = 0
        return count

    def close(self) -> None:
        """Drop the connection."""
        self._sock.close()

    def _check_end(self, error: ssl.SSLError) -> None:
        """SSLEOFError if the server ended the connection without saying so. Python 3.11.2 raises another."""
        if self._incoming.eof and not isinstance(error, ssl.SSLCertVerificationError):
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended without close_notify") from error

    def _feed(self) -> None:
        self._flush()
        if self._barren_bytes > BARREN_BYTES:
            raise TooLongError(
                f"its server sends more than {BARREN_BYTES} bytes of TLS messages without data"
            )
        block = self._sock.recv(STEP_BYTES)
        self._barren_bytes += len(block)
        if block:
            self._incoming.write(block)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        while self._unsent or self._outgoing.pending:
            self._unsent = self._unsent or self._outgoing.read()
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
