"""Asks a running emulated cluster to check its links again, over a socket in its folder."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET = "control"
"""In the cluster's folder, which only its owner may enter; hosts see a folder of their own instead."""

ANSWER_BYTES = 65536


@contextmanager
def serving(folder: str) -> Iterator[socket.socket]:
    """The socket on which init listens."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(Path(folder) / SOCKET))
        server.listen(1)
        yield server


@contextmanager
def pending_request(server: socket.socket) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """The waiting request; its response is sent within the block."""
    connection, _ = server.accept()
    with connection:
        yield lambda answer: connection.sendall(json.dumps(answer).encode() + b"\n")


def request_link_check(folder: Path, timeout_s: float) -> dict[str, Any]:
    """Send the request; its response, or OSError if there is none within ``timeout_s``."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(folder / SOCKET))
        data = b""
        while not data.endswith(b"\n"):
            more = connection.recv(ANSWER_BYTES)
            if not more:
                raise ConnectionError("the emulated cluster ended before it responded")
            data += more
    result: dict[str, Any] = json.loads(data)
    return result
