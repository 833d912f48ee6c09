"""The measured requests of a trial, sent as its load says: in a closed loop, or at planned times."""

from collections.abc import Callable

from vbench.config.arrivals import due_times_s, is_open
from vbench.config.schema import Config
from vbench.load.closed_loop import HttpRequest, Outcome, closed_loop, reporting
from vbench.load.open_loop import open_loop

PHASE = "requests"


def send_measured(
    config: Config, urls: tuple[str, ...], request_of: Callable[[int], HttpRequest]
) -> list[Outcome]:
    """All outcomes in order of their index; ``request_of``: what is sent as the request with this index,
    which goes to each of ``urls`` in turn. A closed loop ends with the first failure."""
    load = config.load
    if is_open(load):
        due_s = due_times_s(load, config.block)
        return open_loop(
            urls,
            request_of,
            due_s,
            in_flight_limit=load.in_flight_limit,
            timeout_s=load.timeout_s,
            answered=reporting(PHASE, len(due_s)),
        )
    return closed_loop(
        urls,
        request_of,
        requests_count=load.requests,
        concurrency=min(load.concurrency, load.requests),
        timeout_s=load.timeout_s,
        answered=reporting(PHASE, load.requests),
    )
