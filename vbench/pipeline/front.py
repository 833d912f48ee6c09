"""Middleware for Serve's proxy: refuses requests for a video that the API would have no room for, and any
request whose headers are far too large.

Each request that Serve's proxy passes on costs it and the API some 5 ms of CPU time, and those that come
together are passed on side by side. Of a few hundred at once none is in the API within a second, and clients
that give up after that and come again keep it so. A refusal here costs a fraction of that.

Serve takes middleware for its proxies from a variable in the environment of its nodes, and from nowhere else;
``environment`` gives its value.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from vbench.pipeline.admission import Admission
from vbench.pipeline.api_schema import PATH
from vbench.pipeline.errors import HeadersTooLargeError, QueueFullError, RequestTimeoutError
from vbench.pipeline.header_bounds import check_headers
from vbench.pipeline.problems import QUEUE_FULL, problem
from vbench.pipeline.request_body import Message, Replayed
from vbench.pipeline.request_count import PROXY_COUNT, CountsRequests
from vbench.ray_internals.serve import PROXY_CALLBACK_VARIABLE

PLACES = "VBENCH_PROXY_PLACES"
"""Environment variable: requests for a video that a proxy has passed on and not answered yet, at most."""
DEFAULT_PLACES = 68
"""What one service replica works on and queues by default."""
WHOLE_WITHIN_S = 1.0
"""A request whose body is not there by then is half sent."""
WIDEN_AFTER_S = 1.0
WIDEN_BY = 1.5
"""After this time without a refusal by the API, the places grow by this factor, up to those configured."""

PROXY_GAVE_UP = (
    "The request was not answered within the time that its header X-Request-Timeout-Seconds, or Serve's "
    "request_timeout_s, allows: request fewer frames/s, or allow more time"
)

((_NAME, _VALUE),) = QUEUE_FULL.items()
FULL = (_NAME.lower().encode(), _VALUE.encode())
"""The header as ASGI has it."""


def environment(places: int) -> dict[str, str]:
    """What nodes that run a proxy need in their environment; ``places`` for requests at each proxy."""
    return {PROXY_CALLBACK_VARIABLE: f"{__name__}:{middleware.__name__}", PLACES: str(places)}


def middleware() -> list[Middleware]:
    """What Serve asks for as a proxy starts; ValueError, which Ray logs, for places that are no number."""
    given = os.environ.get(PLACES, str(DEFAULT_PLACES))
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(
            f"{PLACES}={given} is not a whole number above 0: give one, or unset it for {DEFAULT_PLACES}"
        )
    return [Middleware(Front, places=int(given))]


class RefusedBehindError(QueueFullError):
    """The API refused the request, and has sent the client its response."""


def _in_words(scope: Scope, receive: Receive, send: Send) -> Send:
    """``send``, with the API's 504 instead of the proxy's own 408 in plain text.

    The proxy gives a request up after the time that its client allows. It does so before the API can, if
    that is shorter than a request takes to get there.
    """
    replaced = False

    async def sent(message: Message) -> None:
        nonlocal replaced
        kind = dict(message.get("headers", ())).get(b"content-type", b"")
        if message.get("status") == 408 and not kind.startswith(b"application/json"):
            replaced = True
            await problem(RequestTimeoutError(PROXY_GAVE_UP))(scope, receive, send)
        elif not replaced:
            await send(message)

    return sent


class Front:
    """ASGI middleware: bounds the requests in progress for a video; 503 with ``Retry-After`` beyond that.

    A request counts once its body is there. One that is half sent is passed on: the API bounds those. Where
    the API refuses a request although there were places, its queue is shorter than they are (it shortens it
    for clients that give up): as many places remain as were in use with it, and they return step by step.
    """

    def __init__(
        self,
        app: ASGIApp,
        places: int,
        whole_within_s: float = WHOLE_WITHIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._whole_within_s = whole_within_s
        self._clock = clock
        self._places = places
        self._admission = Admission(slots=places, queue_length=0, slots_work=False)
        self._changed_s = self._clock()
        self._counted = CountsRequests(self._pass_on_or_refuse, PROXY_COUNT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request, and pass it on or refuse it."""
        await self._counted(scope, receive, send)

    async def _pass_on_or_refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                check_headers(scope["headers"])
            except HeadersTooLargeError as error:
                await problem(error, {"Connection": "close"})(scope, receive, send)
                return
        if scope["type"] != "http" or scope["method"] != "POST" or not str(scope["path"]).endswith(PATH):
            await self._app(scope, receive, send)
            return
        send = _in_words(scope, receive, send)
        try:
            first = await asyncio.wait_for(receive(), self._whole_within_s)
        except TimeoutError:
            await self._app(scope, receive, send)
            return
        again = Replayed(first, receive)
        if first["type"] != "http.request" or first.get("more_body"):
            await self._app(scope, again, send)
            return
        self._widen()
        places = self._admission.busy + 1
        try:
            await self._admission.run(lambda: self._pass_on(scope, again, send, places))
        except RefusedBehindError:
            pass  # the client has the API's answer
        except QueueFullError as error:
            await problem(error)(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, places: int) -> None:
        """``places``: in use with this request, as it came."""
        refused = False

        async def watched(message: Message) -> None:
            nonlocal refused
            refused = refused or FULL in message.get("headers", ())
            await send(message)

        await self._app(scope, receive, watched)
        if refused:
            self._narrow(places)
            raise RefusedBehindError("The API refused the request.", 0)

    def _narrow(self, places: int) -> None:
        self._admission.slots = min(self._admission.slots, places)
        self._changed_s = self._clock()

    def _widen(self) -> None:
        now_s = self._clock()
        if self._admission.slots < self._places and now_s - self._changed_s > WIDEN_AFTER_S:
            self._admission.slots = min(self._places, math.ceil(WIDEN_BY * self._admission.slots))
            self._changed_s = now_s
