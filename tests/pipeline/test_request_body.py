"""Which bodies the API receives, and what it says of others."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from vbench.pipeline.config import ReceiveArgs
from vbench.pipeline.errors import BodyError, BodyTimeoutError, BodyTooLargeError, OverloadedError
from vbench.pipeline.request_body import BodyReceiver, ClientLeftError, check_content_type, check_json

QUICK = ReceiveArgs(max_body_bytes=2000, timeout_s=0.2, slow_bodies=1)


def sender(parts: Sequence[bytes], end: str = "complete") -> Callable[[], Awaitable[dict[str, Any]]]:
    """ASGI's ``receive`` of a client that sends these parts and then completes, leaves or stalls."""
    left = list(parts)

    async def receive() -> dict[str, Any]:
        if left:
            more = len(left) > 1 or end != "complete"
            return {"type": "http.request", "body": left.pop(0), "more_body": more}
        if end == "stall":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return receive


def received(parts: Sequence[bytes], end: str = "complete", length: int | None = None) -> bytes:
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return asyncio.run(BodyReceiver(QUICK).receive(headers, sender(parts, end)))


def test_a_body_in_parts_is_put_together() -> None:
    assert received([b'{"vid', b'eo": "/a"', b"}"]) == b'{"video": "/a"}'


@pytest.mark.parametrize("length", [2001, 50_000_000, 10**25])
def test_a_declared_length_that_is_too_large_is_refused_before_anything_is_read(length: int) -> None:
    with pytest.raises(BodyTooLargeError, match="at most 2000 are accepted"):
        received([], "stall", length)


def test_a_stream_is_counted() -> None:
    with pytest.raises(BodyTooLargeError, match="more than 2000 bytes"):
        received([b"x" * 1000] * 3, "stall")


def test_a_body_that_stalls_times_out() -> None:
    with pytest.raises(BodyTimeoutError, match=r"did not arrive within 0.2 s"):
        received([b'{"video"'], "stall")


def test_a_client_that_leaves_in_the_middle_is_told_apart() -> None:
    with pytest.raises(ClientLeftError):
        received([b'{"video"'], "leave")


def test_slow_bodies_have_places_of_their_own_and_prompt_ones_need_none() -> None:
    bounds = ReceiveArgs(timeout_s=30, slow_bodies=1)

    async def scenario() -> None:
        receiver = BodyReceiver(bounds)
        slow = asyncio.ensure_future(receiver.receive([], sender([b"{"], "stall")))
        late = asyncio.ensure_future(receiver.receive([], sender([b"{"], "stall")))
        with pytest.raises(OverloadedError, match="sending their requests slowly") as caught:
            await asyncio.wait_for(late, 10)
        assert caught.value.retry_after_s > 0
        assert not slow.done()
        assert await receiver.receive([], sender([b"{}"])) == b"{}"
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [{"video": "/a.mp4"}, {"video": "/ü.mp4", "fps": 1}, [1], "a"])
def test_json_passes(body: object) -> None:
    check_json(json.dumps(body).encode())
    check_json(json.dumps(body, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (
            b"{",
            "the body is not valid JSON: expecting property name enclosed in double quotes, at line 1, col",
        ),
        (b'{"video": "/a"} x', "the body is not valid JSON: extra data, at line 1, column 17"),
        (b'{\n "video": "/a\n"}', "not valid JSON: invalid control character, at line 2, column 14"),
        (b'\xef\xbb\xbf{"video": "/a"}', "the body begins with a byte order mark (EF BB BF)"),
        (b"\xff\xfe", "the body is not UTF-8 text: byte 0 cannot be decoded"),
        (b'{"video": "/\xe4"}', "the body is not UTF-8 text: byte 12"),
        ('{"video": "/a"}'.encode("utf-16"), "the body is not UTF-8 text"),
        (b'{"video": "/a", "fps": NaN}', "NaN is no JSON number"),
        (b'{"video": "/a", "fps": -Infinity}', "-Infinity is no JSON number"),
        (b'{"video": "/a", "video": "/b"}', "the body has 'video' more than once"),
        (b'{"video": "\\ud800"}', "half of a surrogate pair"),
        (b'{"fps": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
        (b"[" * 30_000 + b"]" * 30_000, "nests arrays or objects more than 32 deep"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nests arrays or objects more than 32 deep"),
        (b"[" * 60_000, "nests arrays or objects more than 32 deep"),
    ],
)
def test_what_is_no_strict_json_is_refused_with_its_reason(body: bytes, sentence: str) -> None:
    with pytest.raises(BodyError) as caught:
        check_json(body)

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "given", ["application/json", "Application/JSON; charset=utf-8", "application/a+json"]
)
def test_content_types_of_json_pass(given: str) -> None:
    check_content_type([(b"content-type", given.encode())])


@pytest.mark.parametrize("given", ["text/plain", "application/x-www-form-urlencoded", "text/json+json", ""])
def test_other_content_types_are_refused(given: str) -> None:
    with pytest.raises(BodyError, match="send a JSON object, with Content-Type: application/json"):
        check_content_type([(b"content-type", given.encode())])
