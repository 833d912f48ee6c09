"""An HTTP server on loopback that serves one file, well or badly, as a test wants it."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """How requests are answered, and what was asked."""

    body: bytes = b""
    ranges: bool = True
    etag: str | None = '"v1"'
    statuses: list[int] = field(default_factory=list)
    """Answered instead, one a request, until they are used up."""
    breaks_after: list[int] = field(default_factory=list)
    """Bytes after which the connection is closed, one a request, until they are used up."""
    stated_length: int | None = None
    """Content-Length of a whole answer, where it is not the body's."""
    chunked: bool = False
    redirect: str | None = None
    trickle: threading.Event | None = None
    """Where given, a byte is sent and then nothing until the event is set; the end sets it."""
    asked: list[str | None] = field(default_factory=list)
    """The Range of each request."""


def _handler(behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        """Seconds without a byte after which a connection is closed; the end waits for each of them."""

        def do_GET(self) -> None:
            behaviour.asked.append(self.headers.get("Range"))
            if behaviour.statuses:
                self.send_response(behaviour.statuses.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if behaviour.redirect:
                self.send_response(302)
                self.send_header("Location", behaviour.redirect)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(self._start())

        def _start(self) -> int:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if not asked or not behaviour.ranges or self.headers.get("If-Range") != behaviour.etag:
                self.send_response(200)
                if behaviour.chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                else:
                    length = behaviour.stated_length
                    self.send_header("Content-Length", str(len(behaviour.body) if length is None else length))
                start = 0
            else:
                start, size = int(asked[1]), len(behaviour.body)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
                self.send_header("Content-Length", str(size - start))
            if behaviour.etag:
                self.send_header("ETag", behaviour.etag)
            self.end_headers()
            return start

        def _send(self, start: int) -> None:
            rest = behaviour.body[start:]
            if behaviour.trickle is not None:
                self.wfile.write(rest[:1])
                behaviour.trickle.wait(60)
                self.close_connection = True
                return
            if behaviour.breaks_after:
                self.wfile.write(rest[: behaviour.breaks_after.pop(0)])
                self.close_connection = True
                return
            if behaviour.chunked:
                self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(rest), rest))
                return
            self.wfile.write(rest)
            if behaviour.stated_length is not None:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """The address of the server, up while the block runs; its connections are closed when it ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(behaviour))
    server.daemon_threads = False  # so that server_close waits for the threads that answer
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        if behaviour.trickle is not None:
            behaviour.trickle.set()
        server.server_close()
