"""A request that fails is not recorded; another takes its place."""

from dataclasses import replace
from typing import Any


def change(client: Any) -> None:
    honest = client._ask

    def ask(session: Any, url: str, asked: Any, index: int, *rest: Any) -> Any:
        if index == 1:
            failed = honest(session, url, replace(asked, json={"video": "/nowhere.mp4"}), index, *rest)
            assert failed.status == 422, failed
        return honest(session, url, asked, index, *rest)

    client._ask = ask


CHANGES = {"vbench.load.closed_loop": change}
