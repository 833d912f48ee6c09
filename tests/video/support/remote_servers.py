"""Servers on loopback that answer as they like, for tests of what a service fetches."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vbench.video.fetch.download import fetch_video
from vbench.video.fetch.public_addresses import PrivateSources
from vbench.video.types import VideoLimits

LIMITS = VideoLimits()
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


@contextmanager
def answering_securely(
    certificate: Path,
    answer: bytes,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    confirm_end: bool = False,
) -> Iterator[str]:
    """``confirm_end``: say that nothing more follows (close_notify), before closing the connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
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
                    if confirm_end:
                        secure.unwrap()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://localhost:{listener.getsockname()[1]}/clip.mp4"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


def fetch(
    url: str,
    timeout_s: float = 20,
    private: PrivateSources | None = None,
    limits: VideoLimits = LIMITS,
) -> bytes:
    with fetch_video(url, limits=limits, timeout_s=timeout_s, private=private) as local:
        return local.path.read_bytes()


def forever(
    head: bytes, block: bytes, pause_s: float = 0.0
) -> Callable[[socket.socket, threading.Event], None]:
    def answer(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(head)
        while not ended.wait(pause_s):
            connection.sendall(block)

    return answer
