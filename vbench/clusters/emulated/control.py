"""Asks a running emulated cluster for something, over a socket in its folder: one JSON line each way."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET = "control"
"""In the cluster's folder, which only its owner may enter; hosts see a folder of their own instead."""

LINE_BYTES = 65536

REQUEST_S = 5.0
"""Who connects sends its request within this time."""

STATUS = "status"
"""On which hosts Ray runs: ``{"hosts": {NAME: bool}}``."""
BEGIN_EVENTS = "begin_events"
"""The measured phase began at ``at_s`` (monotonic seconds), from which the events' times count: ``{}``."""
CHECK_LINKS = "check_links"
"""End Ray and check the links again, ``{"checks": [...], "events": [...]}``, with the events as they took
place; the last request that is served."""

Answer = Callable[[Mapping[str, Any]], None]


@contextmanager
def serving(folder: str) -> Iterator[socket.socket]:
    """The socket on which init listens."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(Path(folder) / SOCKET))
        server.listen(8)
        yield server


@contextmanager
def pending_request(server: socket.socket) -> Iterator[tuple[dict[str, Any], Answer]]:
    """The waiting request, ``{"do": ...}``; its response is sent within the block.

    An empty request if who connected has gone, or said nothing within ``REQUEST_S``.
    """
    connection, _ = server.accept()
    with connection:
        connection.settimeout(REQUEST_S)
        try:
            request = _line(connection)
        except (OSError, ValueError):
            request = {}

        def answer(response: Mapping[str, Any]) -> None:
            try:
                connection.sendall(json.dumps(response).encode() + b"\n")
            except OSError:
                return  # who asked has gone

        yield request, answer


def request(folder: Path, do: str, timeout_s: float, **parameters: Any) -> dict[str, Any]:
    """Send a request; its response, or OSError if there is none within ``timeout_s``."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(folder / SOCKET))
        connection.sendall(json.dumps({"do": do, **parameters}).encode() + b"\n")
        return _line(connection)


def _line(connection: socket.socket) -> dict[str, Any]:
    data = b""
    while not data.endswith(b"\n"):
        more = connection.recv(LINE_BYTES)
        if not more:
            raise ConnectionError("the emulated cluster ended before it responded")
        data += more
    found: dict[str, Any] = json.loads(data)
    return found
