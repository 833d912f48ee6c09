"""The measured requests of a trial, sent as its load says: in a closed loop, or at planned times."""

from collections.abc import Callable

from vbench.config.arrivals import due_times_s, is_open, planned_requests
from vbench.config.schema import Config
from vbench.load.closed_loop import HttpRequest, Outcome, closed_loop, reporting
from vbench.load.open_loop import open_loop

PHASE = "requests"


def send_measured(
    config: Config, urls: tuple[str, ...], request_of: Callable[[int], HttpRequest]
) -> list[Outcome]:
    """All outcomes in order of their index; ``request_of``: what is sent as the request with this index,
    which goes to each of ``urls`` in turn. A closed loop ends with the first failure."""
    load, count = config.load, planned_requests(config)
    answered = reporting(PHASE, count)
    if is_open(load):
        return open_loop(
            urls,
            request_of,
            due_times_s(load, config.block),
            in_flight_limit=load.in_flight_limit,
            timeout_s=load.timeout_s,
            answered=answered,
        )
    return closed_loop(
        urls,
        request_of,
        requests_count=count,
        concurrency=min(load.concurrency, count),
        timeout_s=load.timeout_s,
        answered=answered,
    )
