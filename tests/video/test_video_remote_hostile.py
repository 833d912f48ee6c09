"""A server that means harm gets none of the service's memory, disk, time, and no eyes on other machines."""

import resource
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import pytest

from vbench.video import disk_room, fetched_copy, http_connection
from vbench.video.errors import (
    StoppedError,
    VideoError,
    VideoTimeoutError,
    VideoTooLargeError,
    VideoUnreachableError,
)
from vbench.video.public_addresses import PrivateSources, is_public
from vbench.video.remote import fetched
from vbench.video.types import VideoLimits

LIMITS = VideoLimits()
NOBODY = PrivateSources.of([])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


class Server:
    """Answers each connection on loopback with what ``answer`` sends, until the test ends."""

    def __init__(self, answer: Callable[[socket.socket, threading.Event], None]) -> None:
        self.answer = answer
        self.ended = threading.Event()
        self.asked: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/clip.mp4"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.ended.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(20)
            self.asked.append(connection.recv(65536))
            self.answer(connection, self.ended)

    def close(self) -> None:
        self.ended.set()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            pass  # wakes accept
        self._listener.close()
        for thread in self._threads:
            thread.join(30)


@contextmanager
def answering(answer: bytes | Callable[[socket.socket, threading.Event], None]) -> Iterator[Server]:
    server = Server(answer if callable(answer) else lambda connection, _: connection.sendall(answer))
    try:
        yield server
    finally:
        server.close()


def fetch(
    url: str,
    timeout_s: float = 20,
    private: PrivateSources | None = None,
    limits: VideoLimits = LIMITS,
) -> bytes:
    with fetched(url, limits=limits, timeout_s=timeout_s, private=private) as local:
        return local.path.read_bytes()


def forever(
    head: bytes, block: bytes, pause_s: float = 0.0
) -> Callable[[socket.socket, threading.Event], None]:
    def answer(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(head)
        while not ended.wait(pause_s):
            connection.sendall(block)

    return answer


@pytest.mark.parametrize(
    ("head", "drip"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 302 Found\r\nLocation: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
)
def test_a_server_that_drips_is_left_at_the_deadline(head: bytes, drip: bytes) -> None:
    """Each byte comes soon enough: only the total can tell."""
    with answering(forever(head, drip, 0.02)) as server:
        began = time.monotonic()
        with pytest.raises(VideoTimeoutError, match=r"was not here within 0\.6 s"):
            fetch(server.url, timeout_s=0.6)
        assert time.monotonic() - began < 3


def test_a_server_that_drips_its_header_is_left_when_nobody_waits() -> None:
    stop = threading.Event()
    with answering(forever(b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.02)) as server:
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        with pytest.raises(StoppedError), fetched(server.url, limits=LIMITS, timeout_s=60, stop=stop):
            pass
        assert time.monotonic() - began < 3


def test_a_source_that_is_far_too_slow_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the time is up: who fetches takes a place from others."""
    monkeypatch.setattr(fetched_copy, "SLOW_S", 0.4)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n"
    with answering(forever(head, b"x", 0.02)) as server:
        began = time.monotonic()
        with pytest.raises(VideoUnreachableError, match=r"comes too slowly: \d+ bytes in 0.4 s"):
            fetch(server.url, timeout_s=60)
        assert time.monotonic() - began < 3


def test_a_header_that_drips_is_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEADER_TIMEOUT_S", 0.1)
    with (
        answering(forever(b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.02)) as server,
        pytest.raises(
            VideoUnreachableError, match=r"broke off 5 times .*its header did not come within 0.1 s"
        ),
    ):
        fetch(server.url, timeout_s=60)


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


def test_the_body_of_a_redirect_is_not_read() -> None:
    """It never ends; the redirect leads to the same host and port."""

    def answer(connection: socket.socket, ended: threading.Event) -> None:
        if len(server.asked) > 1:
            connection.sendall(OK)
            return
        forever(b"HTTP/1.1 302 Found\r\nLocation: /there.mp4\r\n\r\n", b"x" * 65536)(connection, ended)

    with answering(answer) as server:
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert fetch(server.url) == b"abc"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 50_000
        assert server.asked[1].startswith(b"GET /there.mp4 HTTP/1.1\r\n")


def test_redirects_are_counted() -> None:
    with answering(b"HTTP/1.1 302 Found\r\nLocation: /again.mp4\r\n\r\n") as server:
        with pytest.raises(VideoError, match="its server sends on more than 5 times in a row"):
            fetch(server.url)
        assert len(server.asked) == 6


PRIVATE_TARGETS = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://0:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "//127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
]


@pytest.mark.parametrize("target", PRIVATE_TARGETS)
@pytest.mark.parametrize("private", [None, PrivateSources.of(["127.0.0.0/8", "localhost"])])
def test_a_redirect_to_another_host_or_port_leads_to_public_addresses_only(
    target: str, private: PrivateSources | None
) -> None:
    with answering(OK) as inside:
        location = target.format(port=inside.port)
        with (
            answering(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode()) as outside,
            pytest.raises(VideoError, match="its server sends on to an address that is not public"),
        ):
            fetch(outside.url, private=private)
        assert inside.asked == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/x", "s3://b/k", "", "gopher://h/"])
def test_a_redirect_keeps_to_http(target: str) -> None:
    with (
        answering(f"HTTP/1.1 301 Moved\r\nLocation: {target}\r\n\r\n".encode()) as server,
        pytest.raises(VideoError, match="sends on to what is neither"),
    ):
        fetch(server.url)


def test_private_addresses_are_read_from_only_if_the_service_was_deployed_so() -> None:
    with answering(OK) as server:
        by_name = server.url.replace("127.0.0.1", "localhost")
        for url in (server.url, by_name):
            with pytest.raises(
                VideoError, match=r"its host is not at a public address; .* in private_sources"
            ):
                fetch(url, private=NOBODY)
        assert server.asked == []
        assert fetch(server.url, private=PrivateSources.of(["127.0.0.0/8"])) == b"abc"
        assert fetch(by_name, private=PrivateSources.of(["LOCALHOST"])) == b"abc"
        with pytest.raises(VideoError, match="not at a public address"):
            fetch(server.url, private=PrivateSources.of(["localhost", "10.0.0.0/8"]))


def test_the_address_that_is_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is resolved anew for each use could lead elsewhere the second time."""
    asked: list[str] = []

    def rebinding(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected: list[object] = []

    def connect(_: object, where: object, *__: object) -> None:
        connected.append(where)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(http_connection, "_connect", connect)
    target = http_connection.Target(host="rebind.example", port=80, secure=False)
    with pytest.raises(ConnectionRefusedError):
        http_connection.connect(
            target,
            lambda address, _: is_public(address),
            http_connection.Deadline(5),
            connect_s=1,
            silence_s=1,
        )
    assert (asked, connected) == (["rebind.example"], [("93.184.215.14", 80)])


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(OK) as proxy, answering(OK) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert fetch(server.url) == b"abc"
        assert proxy.asked == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "198.18.0.1", "168.63.129.16", "192.0.0.192", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1", "2001::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::127.0.0.1"),
        "64:ff9b:1::1",
    ],
)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_what_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("entry", ["", "http://h", "10.0.0.0/33", "10.0.0.1/8", "a b", "1.2.3", "h:80"])
def test_private_sources_are_hosts_and_networks(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host and no network"):
        PrivateSources.of([entry])


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


def test_a_source_that_never_ends_is_left_at_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with answering(forever(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)) as server:
        for limits in (VideoLimits(max_fetched_bytes=5_000_000), VideoLimits(max_size_bytes=5_000_000)):
            with pytest.raises(VideoTooLargeError, match=r"is too large: .* 5000000 are allowed"):
                fetch(server.url, limits=limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\n"]
)
def test_the_disk_keeps_a_reserve(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk of 10 GB, of which 1 GB is kept, with 20 MB more than that."""
    written = [0]

    def small_disk(descriptor: int) -> SimpleNamespace:
        written[0] = disk_room.os.stat(descriptor).st_size
        return SimpleNamespace(f_bavail=1_020_000_000 - written[0], f_frsize=1, f_blocks=10_000_000_000)

    monkeypatch.setattr(disk_room.os, "fstatvfs", small_disk)
    said = r"does not fit on the service's disk: \d+ MB are left"
    with (
        answering(forever(head, b"x" * 65536)) as server,
        pytest.raises(VideoTooLargeError, match=said),
    ):
        fetch(server.url)
    assert written[0] <= 20_000_000


def test_copies_lie_where_nobody_else_can_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made: list[int] = []
    with answering(OK) as server:
        monkeypatch.setattr(
            "tempfile.TemporaryFile",
            lambda dir: made.append(Path(dir).stat().st_mode & 0o777) or open(Path(dir) / "f", "w+b"),  # noqa: SIM115, PTH123
        )
        monkeypatch.setattr(Path, "rmdir", lambda self: (self / "f").unlink() or disk_room.os.rmdir(self))
        assert fetch(server.url) == b"abc"
    assert made == [0o700]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of localhost in one file."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", f"{path}.crt"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@contextmanager
def answering_securely(certificate: Path, answer: bytes) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(10)
                with (
                    suppress(OSError),
                    connection,
                    context.wrap_socket(connection, server_side=True) as secure,
                ):
                    if not secure.recv(65536):
                        return
                    secure.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://localhost:{listener.getsockname()[1]}/clip.mp4"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


def test_https_is_read_proven_and_never_left_for_http(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    http_connection._tls.cache_clear()
    with (
        answering_securely(certificate, OK) as url,
        pytest.raises(VideoError, match="its certificate does not prove"),
    ):
        fetch(url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    http_connection._tls.cache_clear()
    try:
        with answering_securely(certificate, OK) as url:
            assert fetch(url) == b"abc"
        with (
            answering_securely(
                certificate, b"HTTP/1.1 302 Found\r\nLocation: http://8.8.8.8/\r\n\r\n"
            ) as url,
            pytest.raises(VideoError, match="its server sends on to plain http"),
        ):
            fetch(url)
    finally:
        http_connection._tls.cache_clear()


def test_a_tls_handshake_that_does_not_come_ends_at_the_deadline() -> None:
    with answering(lambda connection, ended: ended.wait(20) and None) as server:
        began = time.monotonic()
        with pytest.raises(VideoTimeoutError, match=r"was not here within 0\.5 s"):
            fetch(server.url.replace("http:", "https:"), timeout_s=0.5)
        assert time.monotonic() - began < 3
