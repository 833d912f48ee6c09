"""What the lines of ``load.trace`` ask for, besides when: of an application, a request each."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vbench.config.app_requests import AppRequest, request_of_keys
from vbench.config.arrivals import AT, TRACE, TraceLine, planned_requests, read_trace
from vbench.config.schema import Config
from vbench.config.workload import APP, workload_of
from vbench.errors import ConfigError


def of_trace(config: Config) -> list[AppRequest]:
    """The requests of an application in the order of its trace, as many as are due; equal ones have the name
    of the first of them. Empty for other loads, and for a trace that only says when: then they are those of
    the configuration. ConfigError that names the line."""
    load = config.load
    if load.name != TRACE or workload_of(config) != APP:
        return []
    lines = read_trace(load)
    if not any(line.request for line in lines):
        return []
    assert load.trace is not None
    path = Path(load.trace)
    first: dict[str, AppRequest] = {}
    for line in lines:
        start = f"line {line.number} of load.trace={path}"
        asked = request_of_keys(start, line.number, line.request, path.parent)
        first.setdefault(_content(line), replace(asked, name=f"trace line {line.number}"))
    return [first[_content(line)] for line in lines[: planned_requests(config)]]


def _content(line: TraceLine) -> str:
    """Equal for lines that ask for the same."""
    return json.dumps(line.request, sort_keys=True)


def problems(config: Config) -> Iterator[str]:
    """One sentence for what keeps a trace from being replayed; none for other loads."""
    load = config.load
    if load.name != TRACE or load.trace is None:
        return
    try:
        if workload_of(config) == APP:
            of_trace(config)
            return
        asked = next((line for line in read_trace(load) if line.request), None)
    except ConfigError as error:
        yield str(error)
        return
    if asked is not None:
        yield (
            f"line {asked.number} of load.trace={load.trace} has the key '{next(iter(asked.request))}', which"
            f" only workload=app reads: leave nothing but {AT}."
        )
