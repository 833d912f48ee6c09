"""The client asks twice for each answer."""

from typing import Any


def change(client: Any) -> None:
    honest = client._ask

    def ask(*arguments: Any) -> Any:
        honest(*arguments)
        return honest(*arguments)

    client._ask = ask


CHANGES = {"vbench.load.closed_loop": change}
