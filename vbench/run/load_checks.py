"""Checks whether an open load can be sent: its arrivals, its trace, its objective."""

from collections.abc import Iterator

from vbench.config import arrivals, objective, trace_requests
from vbench.config.arrivals import TRACE
from vbench.config.schema import Config


def load_problems(config: Config) -> Iterator[str]:
    """One sentence for each thing that is wrong, with key, value and remedy."""
    of_arrivals = list(arrivals.problems(config.load))
    yield from of_arrivals
    yield from objective.problems(config.load.objective)
    if config.load.name != TRACE or of_arrivals:
        return
    yield from trace_requests.problems(config)
