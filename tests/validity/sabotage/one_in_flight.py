"""The client has one request in flight, whatever is configured."""

import threading
from typing import Any


def change(client: Any) -> None:
    honest, turn = client._ask, threading.Lock()

    def ask(*arguments: Any) -> Any:
        with turn:
            return honest(*arguments)

    client._ask = ask


CHANGES = {"vbench.load.closed_loop": change}
