"""One HTTP connection to a checked address, bounded in time and in the bytes that come besides the body."""

import errno
import http.client
import io
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from vbench.video.fetch.abandonable_call import call
from vbench.video.fetch.deadline import Deadline
from vbench.video.fetch.host_addresses import is_host_address
from vbench.video.fetch.public_addresses import Address, address_of
from vbench.video.fetch.tls_socket import TlsSocket, TooLongError

HEADER_BYTES = 64 << 10
"""Most bytes of a response before its body, interim responses included; the same for what comes between two
parts of the body (chunk sizes and extensions) and after the last (trailers)."""

HEADER_TIMEOUT_S = 20.0
"""Seconds for the whole header to arrive, from the connection on."""

FRAMING_PER_BYTE = 8
"""Bytes besides the body, per byte of it, beyond ``HEADER_BYTES``. A chunk of a single byte has five: its
size and two line ends (RFC 9112, 7.1)."""

CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Environment variables that name another certificate bundle, as for curl and ``requests``."""


class RefusedAddressError(Exception):
    """The host has no address that may be connected to."""


TOO_LONG_HEADER = f"the response header has more than {HEADER_BYTES} bytes"
TOO_MUCH_FRAMING = "the server sends far more chunk headers or trailers than a file needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect to."""

    host: str
    port: int
    secure: bool

    @property
    def authority(self) -> str:
        """The ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


class DeadlineSocket:
    """A connected socket as ``http.client`` uses it; the deadline bounds each of its waits."""

    def __init__(self, sock: socket.socket, deadline: Deadline, silence_s: float) -> None:
        self._sock: socket.socket | TlsSocket = sock
        self._plain, self._deadline, self._silence_s = sock, deadline, silence_s
        self._in_header = True
        self._late_s = time.monotonic() + HEADER_TIMEOUT_S
        self._waited_bytes = 0
        """Bytes received since the header, or the present wait for more of the body, began."""
        self._received_bytes = self._body_bytes = 0
        """Bytes since the header ended."""

    def begin_body(self) -> None:
        """The header has ended: call ``await_body`` before each read of the body, and ``count_body`` after
        it."""
        self._in_header = False
        self._received_bytes = self._body_bytes = 0

    def await_body(self) -> None:
        """Expect more of the body within ``silence_s``; TooLongError if too many other bytes have come."""
        beside = self._received_bytes - self._body_bytes
        if beside > HEADER_BYTES + FRAMING_PER_BYTE * self._body_bytes:
            raise TooLongError(TOO_MUCH_FRAMING)
        self._waited_bytes = 0
        self._late_s = time.monotonic() + self._silence_s

    def count_body(self, nbytes: int) -> None:
        """Record that ``nbytes`` more of the received bytes belong to the body."""
        self._body_bytes += nbytes

    def sendall(self, data: Any) -> None:
        """Send all of ``data``."""
        view = memoryview(data).cast("B")
        while view:
            view = view[self._until_done(lambda view=view: self._sock.send(view)) :]  # type: ignore[misc]

    def makefile(self, *_: object) -> io.BufferedReader:
        """The stream that ``http.client`` reads from."""
        return io.BufferedReader(_Input(self))

    def receive_into(self, buffer: Any) -> int:
        """Receive bytes; returns 0 at the end."""
        if self._waited_bytes > HEADER_BYTES:
            raise TooLongError(TOO_LONG_HEADER if self._in_header else TOO_MUCH_FRAMING)
        count: int = self._until_done(lambda: self._sock.recv_into(buffer))
        if not count and self._in_header:
            raise ConnectionResetError  # http.client would take a part for the whole header
        self._waited_bytes += count
        self._received_bytes += count
        return count

    def handshake(self, host: str) -> None:
        """Continue with TLS, with a server whose certificate names ``host``."""
        self._sock = tls = TlsSocket(self._plain, _tls(), host)
        self._until_done(tls.handshake)

    def close(self) -> None:
        """Do nothing: ``http.client`` closes the socket before the body is read. See ``end``."""

    def end(self) -> None:
        """Drop the connection, whatever is still in transit."""
        self._sock.close()

    def _until_done(self, work: Callable[[], Any]) -> Any:
        """Repeat ``work`` until it returns something other than None, which means that only some bytes came.

        TimeoutError after ``silence_s`` without a byte.
        """
        silent_at_s = time.monotonic() + self._silence_s
        while True:
            if time.monotonic() >= self._late_s:
                raise TimeoutError(
                    f"the response header did not arrive within {HEADER_TIMEOUT_S:g} s"
                    if self._in_header
                    else f"no more of the file arrived for {self._silence_s:g} s"
                )
            self._sock.settimeout(self._deadline.slice_s())
            try:
                done = work()
                if done is not None:
                    return done
                silent_at_s = time.monotonic() + self._silence_s
            except TimeoutError:
                if time.monotonic() >= silent_at_s:
                    raise TimeoutError(f"nothing arrived for {self._silence_s:g} s") from None


class _Input(io.RawIOBase):
    def __init__(self, source: DeadlineSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.receive_into(buffer)


AddressFilter = Callable[[Address, bool], bool]
"""Whether an address may be connected to; the flag says that it belongs to this machine."""


def connect(
    target: Target, is_allowed: AddressFilter, deadline: Deadline, *, connect_s: float, silence_s: float
) -> DeadlineSocket:
    """A connection to one of the host's addresses, each checked as a number: no name is resolved twice.

    Proxies from the environment are not used: they, not this process, would choose the address.

    Raises:
        RefusedAddressError: ``is_allowed`` accepts none of the addresses.
        OSError: the name is unknown, or nobody responds.
        DeadlineExceededError: the deadline passed.
    """
    failure: Exception = RefusedAddressError()
    for family, text in _lookup(target, deadline):
        # A public address of this machine leads to whatever listens on all its addresses, and a connection
        # would reveal whether something does.
        if not is_allowed(address_of(text), False) or (
            is_host_address(family, text) and not is_allowed(address_of(text), True)
        ):
            continue
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            _connect(sock, (text, target.port), deadline, connect_s)
            connection = DeadlineSocket(sock, deadline, silence_s)
            if target.secure:
                connection.handshake(target.host)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return connection
    raise failure


def _lookup(target: Target, deadline: Deadline) -> list[tuple[socket.AddressFamily, str]]:
    """The host's addresses."""

    def resolve() -> list[Any]:
        return socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)

    try:
        entries = call(resolve, deadline, "resolve")
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "no name") from None
    return list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in entries))


def _connect(sock: socket.socket, where: tuple[str, int], deadline: Deadline, connect_s: float) -> None:
    sock.setblocking(False)
    late_s = time.monotonic() + connect_s
    code = sock.connect_ex(where)
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    while code in (errno.EINPROGRESS, errno.EAGAIN):
        if poller.poll(deadline.slice_s() * 1000):
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            break
        if time.monotonic() >= late_s:
            raise TimeoutError(f"no connection within {connect_s:g} s")
    if code:
        raise OSError(code, os.strerror(code))


@cache
def _tls() -> ssl.SSLContext:
    given = next((os.environ[name] for name in CA_BUNDLES if os.environ.get(name)), None)
    context = ssl.create_default_context(cafile=given or DEFAULT_CA_BUNDLE_PATH)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    # Python lets a connection that was cut look like one that the server ended.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


_REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((ssl.SSLCertVerificationError,), "the server's certificate is not valid for this host"),
    ((ssl.SSLEOFError,), "the server cut the connection"),
    ((ssl.SSLError,), "the TLS connection failed"),
    ((socket.gaierror,), "the host name cannot be resolved"),
    (
        (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError),
        "the server closed the connection",
    ),
    ((http.client.LineTooLong,), f"the server sends a line of more than {HEADER_BYTES} bytes"),
    ((http.client.HTTPException,), "the response is not HTTP"),
)


def reason_of(error: Exception) -> str:
    """Why a connection failed, in our own words: a server's could contain anybody's secrets."""
    if type(error) is http.client.HTTPException:
        return "the response header has more than 100 lines"
    for kinds, reason in _REASONS:
        if isinstance(error, kinds):
            return reason
    code = getattr(error, "errno", None)
    return os.strerror(code).lower() if code else str(error)  # one without a number is from this module
