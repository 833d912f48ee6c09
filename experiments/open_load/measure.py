"""Measures the client of open loads: ``python experiments/open_load/measure.py`` (4 min).

How late does it send requests, and what does it cost? Does a stall of the server show in every request that
it delays? Both against a real HTTP server on loopback. Nothing else may run meanwhile. Writes raw values to
``result.json`` next to this file, which README.md quotes.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.results import conditions, write_result
from vbench.load.closed_loop import HttpRequest, Outcome, closed_loop
from vbench.load.open_loop import open_loop
from vbench.record.quantiles import percentile

HERE = Path(__file__).resolve().parent

RATES_PER_S = (50, 200, 500)
RUN_S = 10
RUNS = 5
IN_FLIGHT = 200
"""Requests that a server which takes a second for each has at a time."""
STALL_S = 5
STALLED_REQUESTS, STALLED_RATE_PER_S, STALL_AT = 1000, 100, 300
SLOTS = 4
"""Of the closed loop that is asked the same."""
TIMEOUT_S = 30


def main() -> None:
    """Measure and write the result."""
    lateness = [_lateness(rate, path) for rate, path in _loads() for _ in range(RUNS)]
    result = {**conditions(), "lateness": lateness, "stall": _stall()}
    write_result(HERE / "result.json", result)


def _loads() -> Iterator[tuple[int, str]]:
    yield from ((rate, "/") for rate in RATES_PER_S)
    yield IN_FLIGHT, "/?for_s=1"


def _lateness(rate: int, path: str) -> dict[str, Any]:
    """How late requests at a constant rate were sent, in ms, and the CPU time that the client took for
    them."""
    with _server() as url:
        began_s, cpu_s = time.monotonic(), time.process_time()
        outcomes = _open(url, path, [number / rate for number in range(rate * RUN_S)])
        used_s, took_s = time.process_time() - cpu_s, time.monotonic() - began_s
    late_ms = [1000 * (one.sent_s - one.scheduled_s) for one in outcomes]
    return {
        "rate_per_s": rate,
        "path": path,
        "requests": len(outcomes),
        "failed": sum(not one.is_success for one in outcomes),
        "late_p50_ms": percentile(late_ms, 50),
        "late_p99_ms": percentile(late_ms, 99),
        "late_max_ms": max(late_ms),
        "in_flight_max": _most_in_flight(outcomes),
        "cpu_percent_of_a_core": 100 * used_s / took_s,
        "cpu_ms_per_request": 1000 * used_s / len(outcomes),
    }


def _most_in_flight(outcomes: Sequence[Outcome]) -> int:
    moments = sorted([(one.sent_s, 1) for one in outcomes] + [(one.done_s, -1) for one in outcomes])
    most = now = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


def _stall() -> dict[str, Any]:
    """What an open load and a closed loop of the same requests see of a server that stands still once."""
    path = f"/?stall_at={STALL_AT}&stall_s={STALL_S}"
    with _server() as url:
        opened = _open(url, path, [number / STALLED_RATE_PER_S for number in range(STALLED_REQUESTS)])
    with _server() as url:
        closed = closed_loop(
            (url,),
            lambda _: HttpRequest(method="GET", path=path),
            requests_count=STALLED_REQUESTS,
            concurrency=SLOTS,
            timeout_s=TIMEOUT_S,
            answered=lambda _: None,
        )
    begin_s = opened[STALL_AT - 1].scheduled_s
    due = [one for one in opened if begin_s <= one.scheduled_s < begin_s + STALL_S]
    # The stall begins some ms after its request is due.
    unseen = [one for one in due if one.done_s < begin_s + STALL_S]
    return {
        "requests": STALLED_REQUESTS,
        "due_in_the_stall": len(due),
        "done_before_its_end": len(unseen),
        "open": _latencies(opened),
        "closed": _latencies(closed),
    }


def _latencies(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Quantiles in s, and how many took longer than 0.1 s."""
    latencies = [one.done_s - one.scheduled_s for one in outcomes]
    return {
        **{f"p{percent}_s": percentile(latencies, percent) for percent in (50, 90, 99)},
        "max_s": max(latencies),
        "mean_s": sum(latencies) / len(latencies),
        "longer_than_100_ms": sum(latency > 0.1 for latency in latencies),
    }


def _open(url: str, path: str, due_times_s: Sequence[float]) -> list[Outcome]:
    return open_loop(
        (url,),
        lambda _: HttpRequest(method="GET", path=path),
        due_times_s,
        in_flight_limit=STALLED_REQUESTS,
        timeout_s=TIMEOUT_S,
        answered=lambda _: None,
    )


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, str(HERE / "echo_server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    main()
