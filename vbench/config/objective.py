"""What a service must hold under an open load: ``load.objective``, such as ``p95<2s,errors<0.1%``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vbench.errors import ConfigError

EXAMPLE = '"p95<2s,errors<0.1%"'

_LATENCY = re.compile(r"p(?P<percent>\d{1,2}(?:\.\d+)?)<(?P<limit>\d+(?:\.\d+)?)(?P<unit>ms|s)")
_ERRORS = re.compile(r"errors<(?P<percent>\d+(?:\.\d+)?)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimit:
    """A quantile of the latency and what it must stay below."""

    percent: float
    """Of the requests: 95 for p95."""
    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """At least one of the two."""

    latency: LatencyLimit | None = None
    most_errors_percent: float | None = None
    """Requests that may fail, in percent; None: not limited."""


def objective(text: str | None) -> Objective | None:
    """The objective that ``load.objective`` states, None for none; ConfigError if it cannot be read."""
    if text is None:
        return None
    latency: LatencyLimit | None = None
    most_errors: float | None = None
    for part in text.replace(" ", "").split(","):
        if found := _LATENCY.fullmatch(part):
            if latency is not None:
                raise ConfigError(f"load.objective={text} has two limits of the latency: give one.")
            scale = 0.001 if found["unit"] == "ms" else 1.0
            latency = LatencyLimit(percent=float(found["percent"]), limit_s=scale * float(found["limit"]))
        elif found := _ERRORS.fullmatch(part):
            most_errors = float(found["percent"])
        else:
            raise ConfigError(
                f"load.objective={text}: '{part}' is no limit: give limits such as"
                f" 'load.objective={EXAMPLE}'."
            )
    if latency is not None and not (0 < latency.percent < 100 and latency.limit_s > 0):
        raise ConfigError(f"load.objective={text}: quantiles are from p1 to p99.9, and limits above 0 s.")
    if most_errors is not None and not 0 < most_errors <= 100:
        raise ConfigError(f"load.objective={text}: the limit of errors must be above 0% and at most 100%.")
    return Objective(latency=latency, most_errors_percent=most_errors)


def problems(text: str | None) -> Iterator[str]:
    """A sentence if the objective cannot be read."""
    try:
        objective(text)
    except ConfigError as error:
        yield str(error)
