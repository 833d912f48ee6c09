"""When the requests of an open load are due, planned before the first of them is sent.

Nothing that happens during a trial changes the plan, so a service that falls behind is asked as often as one
that keeps up, and all arms of a block are asked at the same times.
"""

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise, takewhile
from pathlib import Path
from typing import Any

from vbench.config.json_lines import JsonLine, read_json_lines
from vbench.config.schema import Config, LoadConfig
from vbench.errors import ConfigError

POISSON, CONSTANT, RAMP, TRACE = "poisson", "constant", "ramp", "trace"

OPEN_LOADS = (POISSON, CONSTANT, RAMP, TRACE)
"""Values of ``load.name`` with arrivals that do not wait for responses."""

AT = "at_s"
"""Key of a line of a trace: when its request is due, in seconds from any moment."""


def is_open(load: LoadConfig) -> bool:
    """Whether requests are sent at planned times, however many are in flight."""
    return load.name in OPEN_LOADS


def planned_requests(config: Config) -> int:
    """How many requests a trial sends if none fails."""
    return len(due_times_s(config.load, config.block)) if is_open(config.load) else config.load.requests


def due_times_s(load: LoadConfig, block: int) -> list[float]:
    """Seconds from the first request, which is due at 0, at which requests are due, in order; one at least.

    They end with ``load.requests`` or ``load.duration_s``, whichever comes first. Poisson arrivals are drawn
    from ``load.seed`` and the block. ConfigError if a trace cannot be read.
    """
    rising = takewhile(lambda at_s: at_s < load.duration_s, _times(load, block))
    return [at_s for _, at_s in zip(range(load.requests), rising, strict=False)]


def _times(load: LoadConfig, block: int) -> Iterator[float]:
    """All times, without the limits."""
    if load.name == TRACE:
        trace = read_trace(load)
        yield from ((line.at_s - trace[0].at_s) / load.speed for line in trace)
        return
    assert load.rate is not None, "validated"
    if load.name == CONSTANT:
        yield from (number / load.rate for number in count())
    elif load.name == RAMP:
        assert load.rate_end is not None, "validated"
        yield from _ramp(load.rate, load.rate_end, load.duration_s)
    else:
        drawn = random.Random(f"arrivals {load.seed} {block}")
        at_s = 0.0
        while True:
            yield at_s
            at_s += drawn.expovariate(load.rate)


def _ramp(first: float, last: float, length_s: float) -> Iterator[float]:
    """The times at which a rate that goes evenly from ``first`` to ``last`` has brought 0, 1, 2, ...
    requests.

    After t seconds it has brought first t + (last - first) t² / (2 length).
    """
    slope = (last - first) / length_s
    for number in count():
        under = first * first + 2 * slope * number
        if under < 0:  # a falling rate never brings so many
            return
        at_s = 2 * number / (first + math.sqrt(under)) if number else 0.0
        yield at_s


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLine:
    """A request of a trace."""

    number: int
    """Of its line in the file, from 1."""
    at_s: float
    request: dict[str, Any]
    """Its other keys, as ``app.requests`` has them."""


def read_trace(load: LoadConfig) -> list[TraceLine]:
    """The lines of ``load.trace``; ConfigError that names the line and the remedy."""
    assert load.trace is not None, "validated"
    trace = [_line(line) for line in read_json_lines("load.trace", load.trace, f'{{"{AT}": 0.5}}')]
    _check_order(Path(load.trace), trace)
    return trace


def _line(line: JsonLine) -> TraceLine:
    start, data = line.start, line.value
    if not isinstance(data, dict) or AT not in data:
        raise ConfigError(f'{start} has no {AT}: write an object, such as {{"{AT}": 0.5}}.')
    at_s = data.pop(AT)
    if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not 0 <= at_s < math.inf:
        raise ConfigError(f"{start}: {AT} {json.dumps(at_s)} must be seconds, 0 or more.")
    return TraceLine(number=line.number, at_s=float(at_s), request=data)


def _check_order(path: Path, trace: Sequence[TraceLine]) -> None:
    for before, line in pairwise(trace):
        if line.at_s < before.at_s:
            raise ConfigError(
                f"line {line.number} of load.trace={path} is due at {line.at_s:g} s, before line"
                f" {before.number} ({before.at_s:g} s): sort the lines by {AT}."
            )


def problems(load: LoadConfig) -> Iterator[str]:
    """One sentence for each value that an open load cannot be planned with; for a closed one, for each key
    that only open loads read."""
    if not is_open(load):
        yield from _only_open(load)
        return
    if not 0 < load.duration_s <= LONGEST_S:
        yield f"load.duration_s={load.duration_s:g} must be above 0 and at most {LONGEST_S:,} s."
        return
    if load.name == TRACE:
        if load.trace is None:
            yield "load=trace needs a file of arrivals: load.trace=FILE.jsonl."
        elif not 0 < load.speed < math.inf:
            yield f"load.speed={load.speed:g} must be above 0: 2 replays a trace twice as fast."
        else:
            yield from _trace_problems(load)
        return
    for key, value in _rates(load):
        if value is None:
            yield f"load={load.name} needs requests per second: {key}=10."
        elif not 0 < value <= HIGHEST_RATE:
            yield f"{key}={value:g} must be above 0 and at most {HIGHEST_RATE:,} requests/s."


LONGEST_S = 86_400
HIGHEST_RATE = 10_000


def _rates(load: LoadConfig) -> Iterator[tuple[str, float | None]]:
    yield "load.rate", load.rate
    if load.name == RAMP:
        yield "load.rate_end", load.rate_end


def _trace_problems(load: LoadConfig) -> Iterator[str]:
    try:
        read_trace(load)
    except ConfigError as error:
        yield str(error)


def _only_open(load: LoadConfig) -> Iterator[str]:
    choices = {"rate": POISSON, "rate_end": RAMP, "trace": TRACE}
    for key, choice in choices.items():
        value = getattr(load, key)
        if value is not None:
            yield (
                f"load.{key}={value} does not go with load={load.name}, which sends a request when another"
                f" is done: choose load={choice}."
            )
