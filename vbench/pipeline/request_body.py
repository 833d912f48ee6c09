"""Request bodies: received within bounds of size, time and number, and checked to be strict JSON."""

import asyncio
import codecs
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from vbench.pipeline.config import ReceiveArgs
from vbench.pipeline.errors import BodyError, BodyTimeoutError, BodyTooLargeError, OverloadedError
from vbench.pipeline.shortened import shortened

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
"""ASGI's ``receive``."""

PROMPT_S = 1.0
"""A body that arrives within this time is never refused because other bodies are slow."""

DEEPEST = 32
"""Levels of nested arrays and objects that a body may have; a request has one."""

EXAMPLE = '{"video": "/data/clip.mp4"}'

MOST_DIGITS = 400
"""Of an integer in a body."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class ClientLeftError(Exception):
    """The client disconnected before it had sent its request."""


class Replayed:
    """ASGI's ``receive`` that starts with a message received earlier."""

    def __init__(self, first: Message, receive: Receive) -> None:
        self._first: Message | None = first
        self._receive = receive

    async def __call__(self) -> Message:
        """That message, then new ones."""
        if self._first is None:
            return await self._receive()
        first, self._first = self._first, None
        return first


class BodyReceiver:
    """Receives bodies of at most ``max_body_bytes``, of which few may be slow at a time."""

    def __init__(self, args: ReceiveArgs) -> None:
        self._args = args
        self._slow = 0

    async def receive(self, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> bytes:
        """The whole body.

        Raises BodyTooLargeError, before it arrives if its length is declared; BodyTimeoutError;
        OverloadedError if too many other bodies are slow; ClientLeftError.
        """
        declared = dict(headers).get(b"content-length", b"")
        if declared.isdigit() and int(declared[:20]) > self._args.max_body_bytes:
            raise self._too_large(f"{declared[:20].decode()} bytes")
        reading = asyncio.get_running_loop().create_task(self._read(receive))
        try:
            await asyncio.wait([reading], timeout=min(PROMPT_S, self._args.timeout_s))
            if not reading.done():
                await self._wait_slowly(reading)
            return reading.result()
        finally:
            reading.cancel()

    async def _wait_slowly(self, reading: "asyncio.Task[bytes]") -> None:
        if self._slow >= self._args.slow_bodies:
            raise OverloadedError(
                f"The service is overloaded: {self._slow} other clients are sending their requests slowly, "
                "and this request did not arrive at once. Send it again in one piece.",
                self._args.timeout_s,
            )
        self._slow += 1
        try:
            await asyncio.wait([reading], timeout=max(0.0, self._args.timeout_s - PROMPT_S))
        finally:
            self._slow -= 1
        if not reading.done():
            raise BodyTimeoutError(
                f"The body of the request did not arrive within {self._args.timeout_s:g} s. Send it in one "
                "piece, with its Content-Length."
            )

    async def _read(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            body += message.get("body", b"")
            if len(body) > self._args.max_body_bytes:
                raise self._too_large(f"more than {self._args.max_body_bytes} bytes")
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self, size: str) -> BodyTooLargeError:
        return BodyTooLargeError(
            f"the body has {size}, and at most {self._args.max_body_bytes} are accepted: send one object "
            f"such as {EXAMPLE}"
        )


def check_content_type(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """BodyError unless the headers say that the body is JSON."""
    given = dict(headers).get(b"content-type", b"").decode("latin-1")
    kind = given.partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        said = f"the Content-Type is {shortened(given)!r}" if given else "the request has no Content-Type"
        raise BodyError(f"{said}: send a JSON object, with Content-Type: application/json")


def check_json(body: bytes) -> None:
    """BodyError, with a sentence, unless ``body`` is JSON as RFC 8259 has it, in UTF-8, each name once.

    Python's own parser also takes NaN, Infinity, repeated names and UTF-16, and fails on deep nesting and
    long integers with other errors than for bad syntax.
    """
    if not body.strip():
        raise BodyError(f"the body is empty: send a JSON object such as {EXAMPLE}")
    if body.startswith(codecs.BOM_UTF8):
        raise BodyError(
            "the body begins with a byte order mark (EF BB BF), which JSON does not allow: leave it out"
        )
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BodyError(f"the body is not UTF-8 text: byte {error.start} cannot be decoded") from error
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_not_json, parse_int=_integer)
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
        raise BodyError(
            f"the body is not valid JSON: {what}, at line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise _too_deep() from error
    if _depth(value) > DEEPEST:
        raise _too_deep()


def _too_deep() -> BodyError:
    return BodyError(f"the body nests arrays or objects more than {DEEPEST} deep: send one flat object")


def _depth(value: Any) -> int:
    """Levels of arrays and objects."""
    depth, level = 0, [value]
    while level := [inner for inner in level if isinstance(inner, dict | list)]:
        depth += 1
        level = [item for inner in level for item in (inner.values() if isinstance(inner, dict) else inner)]
    return depth


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if any(_SURROGATE.search(text) for pair in pairs for text in pair if isinstance(text, str)):
        raise BodyError("the body has half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    if len(members) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise BodyError(f"the body has {shortened(twice)!r} more than once: write it once")
    return members


def _not_json(name: str) -> Any:
    raise BodyError(f"the body is not valid JSON: {name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise BodyError(f"the body has a number of {len(digits)} digits, which no field takes")
    return int(digits)
