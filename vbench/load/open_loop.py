"""An open load: requests that are sent at planned times, however many of them are in flight.

One thread sends them all. A request that is due does not wait for another one, and nothing that happens moves
the times of those that follow.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import aiohttp

from vbench.load.closed_loop import CONNECT_S, HttpRequest, Outcome

NOT_SENT = "not sent: {count} requests were in flight, which is load.in_flight_limit"


def open_loop(
    urls: tuple[str, ...],
    request_of: Callable[[int], HttpRequest],
    due_times_s: Sequence[float],
    *,
    in_flight_limit: int,
    timeout_s: float,
    answered: Callable[[Outcome], None],
) -> list[Outcome]:
    """Send a request at each of ``due_times_s`` (seconds from now, in order); all outcomes, in that order.

    ``request_of``: what is sent as the request with this index; it goes to each of ``urls`` in turn. A
    request that fails or takes longer than ``timeout_s`` has an error and ends no other. One that is due
    while ``in_flight_limit`` others are on their way is not sent, and has an error that says so. ``answered``
    is called with each outcome as soon as it is there.
    """
    return asyncio.run(_send_all(urls, request_of, due_times_s, in_flight_limit, timeout_s, answered))


async def _send_all(
    urls: tuple[str, ...],
    request_of: Callable[[int], HttpRequest],
    due_times_s: Sequence[float],
    in_flight_limit: int,
    timeout_s: float,
    answered: Callable[[Outcome], None],
) -> list[Outcome]:
    started_s = time.monotonic()
    in_flight: set[asyncio.Task[None]] = set()
    outcomes: list[Outcome] = []

    async def send(index: int, due_s: float) -> None:
        outcome = await _exchange(
            session, urls[index % len(urls)], request_of(index), index, due_s, timeout_s
        )
        outcomes.append(outcome)
        answered(outcome)

    async with (
        aiohttp.ClientSession(
            # As many connections as requests; each client is a new one, so no cookies.
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S),
        ) as session,
        asyncio.TaskGroup() as group,
    ):
        for index, after_s in enumerate(due_times_s):
            due_s = started_s + after_s
            await _until(due_s)
            if len(in_flight) >= in_flight_limit:
                outcomes.append(_unsent(index, due_s, len(in_flight)))
                answered(outcomes[-1])
                continue
            task = group.create_task(send(index, due_s))
            in_flight.add(task)
            task.add_done_callback(in_flight.discard)
    return sorted(outcomes, key=lambda outcome: outcome.index)


async def _until(due_s: float) -> None:
    """Return at ``due_s``, not before; others run meanwhile, even if it is past."""
    await asyncio.sleep(due_s - time.monotonic())
    # The loop's timers end up to their resolution early.
    while time.monotonic() < due_s:
        await asyncio.sleep(0)


async def _exchange(
    session: aiohttp.ClientSession, url: str, asked: HttpRequest, index: int, due_s: float, timeout_s: float
) -> Outcome:
    pieces: list[bytes] = []
    status: int | None = None
    headers: Mapping[str, str] = {}
    first_byte_s: float | None = None
    error: str | None = None
    sent_unix_s, sent_s = time.time(), time.monotonic()
    try:
        async with session.request(
            asked.method, url + asked.path, headers=asked.headers, data=asked.body, json=asked.json
        ) as response:
            async for piece in response.content.iter_any():
                if first_byte_s is None:
                    first_byte_s = time.monotonic()
                pieces.append(piece)
            status, headers = response.status, response.headers
    except TimeoutError:
        error = f"no response within load.timeout_s={timeout_s:g}"
    except aiohttp.ClientError as failure:
        error = f"the connection failed: {failure}"
    return Outcome(
        index=index,
        scheduled_s=due_s,
        sent_s=sent_s,
        done_s=time.monotonic(),
        sent_unix_s=sent_unix_s,
        status=status,
        body=b"".join(pieces) if error is None else b"",
        error=error,
        headers=headers,
        first_byte_s=first_byte_s if error is None else None,
    )


def _unsent(index: int, due_s: float, in_flight: int) -> Outcome:
    now_s = time.monotonic()
    return Outcome(
        index=index,
        scheduled_s=due_s,
        sent_s=now_s,
        done_s=now_s,
        sent_unix_s=time.time(),
        status=None,
        body=b"",
        error=NOT_SENT.format(count=in_flight),
    )
