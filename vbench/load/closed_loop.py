"""One HTTP request, and a closed loop of them; nothing is parsed while the clock runs."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import requests

from vbench.load.events import progress

CONNECT_S = 10
"""Deadline for a connection."""

SHOWN_S = 0.1
"""Between two reports of the progress."""

PIECE_BYTES = 10 * 1024
"""Of a response, read at once; of a streamed one a piece is what arrives together, at most this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What is sent."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    json: Mapping[str, object] | None = None
    """Encoded as the body, if there is no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one request. Times are in monotonic seconds."""

    index: int
    scheduled_s: float
    sent_s: float
    done_s: float
    sent_unix_s: float
    status: int | None
    """None without a response."""
    body: bytes
    error: str | None
    """Why there is no response; None also for responses with a 4xx or 5xx status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the response, their names in any case; empty without one."""
    first_byte_s: float | None = None
    """When the first bytes of the body arrived; None without a body."""

    @property
    def is_success(self) -> bool:
        """Whether the response arrived with a 2xx status."""
        return self.error is None and self.status is not None and 200 <= self.status < 300


def closed_loop(
    urls: tuple[str, ...],
    request_of: Callable[[int], HttpRequest],
    *,
    requests_count: int,
    concurrency: int,
    timeout_s: float,
    answered: Callable[[Outcome], None],
) -> list[Outcome]:
    """Send ``requests_count`` requests, ``concurrency`` at a time; the next when one is done.

    ``request_of``: what is sent as the request with this index; it goes to each of ``urls`` in turn.

    After the first failure no more requests are sent, because the trial has failed. ``answered`` is called
    with each outcome by the thread that sent it. Outcomes are returned in order of ``index``. A request is
    due when its thread's previous one was done; the first ones are due when the loop starts.
    """
    indices: SimpleQueue[int] = SimpleQueue()
    for index in range(requests_count):
        indices.put(index)
    outcomes: SimpleQueue[Outcome] = SimpleQueue()
    failed = threading.Event()
    broken: list[BaseException] = []
    started_s = time.monotonic()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for us
            broken.append(error)
            failed.set()

    def work() -> None:
        due_s = started_s
        with requests.Session() as session:
            # No proxy that the environment names may stand between the client and a loopback address.
            session.trust_env = False
            while not failed.is_set():
                try:
                    index = indices.get_nowait()
                except Empty:
                    return
                outcome = _ask(session, urls[index % len(urls)], request_of(index), index, due_s, timeout_s)
                due_s = outcome.done_s
                if not outcome.is_success:
                    failed.set()
                outcomes.put(outcome)
                answered(outcome)

    threads = [threading.Thread(target=run, name=f"client-{i}", daemon=True) for i in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    collected = [outcomes.get_nowait() for _ in range(outcomes.qsize())]
    return sorted(collected, key=lambda outcome: outcome.index)


def reporting(phase: str, count: int) -> Callable[[Outcome], None]:
    """What ``answered`` may be: shows how many of ``count`` requests are done, and their mean latency, at
    most every ``SHOWN_S``."""
    lock = threading.Lock()
    done, total_s, shown_s = 0, 0.0, -SHOWN_S
    progress(phase, 0, count)

    def answered(outcome: Outcome) -> None:
        nonlocal done, total_s, shown_s
        with lock:
            done, total_s = done + 1, total_s + outcome.done_s - outcome.scheduled_s
            if done < count and outcome.done_s - shown_s < SHOWN_S:
                return
            shown_s = outcome.done_s
            progress(phase, done, count, f"mean {total_s / done:.2f} s")

    return answered


def _ask(
    session: requests.Session, url: str, asked: HttpRequest, index: int, due_s: float, timeout_s: float
) -> Outcome:
    status: int | None = None
    content = b""
    error: str | None = None
    headers: Mapping[str, str] = {}
    first_byte_s: float | None = None
    sent_unix_s = time.time()
    sent_s = time.monotonic()
    try:
        with session.request(
            asked.method,
            url + asked.path,
            headers=asked.headers,
            data=asked.body,
            json=asked.json,
            timeout=(CONNECT_S, timeout_s),
            stream=True,
        ) as response:
            pieces: list[bytes] = []
            for piece in response.iter_content(PIECE_BYTES):
                if not pieces:
                    first_byte_s = time.monotonic()
                elif time.monotonic() - sent_s > timeout_s:
                    raise requests.Timeout
                pieces.append(piece)
            status, content, headers = response.status_code, b"".join(pieces), response.headers
    except requests.Timeout:
        error = f"no response within load.timeout_s={timeout_s:g}"
    except requests.RequestException as failure:
        error = f"the connection failed: {failure}"
    return Outcome(
        index=index,
        scheduled_s=due_s,
        sent_s=sent_s,
        done_s=time.monotonic(),
        sent_unix_s=sent_unix_s,
        status=status,
        body=content,
        error=error,
        headers=headers,
        first_byte_s=first_byte_s if error is None else None,
    )
