"""ASGI middleware that counts every request that reaches a process, and reports the count with each response.

A request counts whatever becomes of it: an unknown path, a wrong method, a refused body, ``/docs``, a health
check. The API and Serve's proxy each have their own count. A trial compares both with the requests it sent.
"""

from __future__ import annotations  # the harness names this module, and does without starlette's start

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vbench.ray_internals.serve import PROXY_CALLBACK_VARIABLE

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_COUNT = "X-Requests-At-Api"
PROXY_COUNT = "X-Requests-At-Proxy"
"""Response headers: how many requests had reached the API replica, or the proxy, when the response began."""

NUMBER = "vbench.number"
"""Key of the ASGI scope under which a request finds its own number, from 1."""

COUNTED = ("http", "websocket")
"""ASGI scopes that are requests of a client; a lifespan is not."""


class CountsRequests:
    """Numbers the requests of one process and adds their count to each response."""

    def __init__(self, app: ASGIApp, header: str) -> None:
        """``header``: the name of the response header that holds the count."""
        self._app = app
        self._header = header.lower().encode()
        self._numbers = itertools.count(1)
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request and pass it on."""
        if scope["type"] not in COUNTED:
            await self._app(scope, receive, send)
            return
        self._count = scope[NUMBER] = next(self._numbers)

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                count = (self._header, str(self._count).encode())
                message = {**message, "headers": [*message.get("headers", ()), count]}
            await send(message)

        await self._app(scope, receive, counted)


def middleware() -> list[Middleware]:
    """For Serve's proxies in a trial: the count alone."""
    from starlette.middleware import Middleware

    return [Middleware(CountsRequests, header=PROXY_COUNT)]


def environment() -> dict[str, str]:
    """What nodes need in their environment so that a proxy on them counts its requests."""
    return {PROXY_CALLBACK_VARIABLE: f"{__name__}:{middleware.__name__}"}


def read_count(headers: Mapping[str, str], header: str) -> int | None:
    """The count in a response's headers; None if there is none."""
    text = headers.get(header.lower(), "")
    return int(text) if text.isascii() and text.isdecimal() else None
