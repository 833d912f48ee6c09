"""Whether what was seen of a setting agrees with its value."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from vbench.config.schema import Config
from vbench.config.transfer import object_bytes
from vbench.config.workload import TRANSFERS, VIDEO, workload_of
from vbench.ray_internals.ingress import DIRECT_VARIABLE, HAPROXY_VARIABLE
from vbench.ray_internals.processes import is_haproxy, replica_deployment
from vbench.ray_internals.setting_signs import SIGNS, Sign, effective
from vbench.record.load_report import Graph, LoadReport, SettingSign

TOLERANCE = 1.05
"""Bytes and chunks are reported one after the other, and a chunk may arrive in between."""
LEAST_SHARE = 0.75
"""Of the bytes per chunk that the objects' size gives: other objects, which are smaller, move too."""

Seen = Sequence[tuple[SettingSign, float]]
"""Signs with what was seen, where there was something to see."""


def contradictions(config: Config, load_report: LoadReport) -> Iterator[str]:
    """One sentence for each setting whose sign says something else than its value."""
    for name, value in effective(config.runtime.env).items():
        if name not in SIGNS:
            continue
        seen = _seen(load_report, SIGNS[name])
        problem = JUDGES[SIGNS[name]](config, value, seen) if seen else None
        problem = problem or _listener_problem(name, value, load_report.graph)
        if problem is not None:
            yield f"{problem}, although {name}={value}"


def evidence(config: Config, load_report: LoadReport) -> str:
    """What was seen, and of which settings nothing; empty if nothing can be seen of any, and for records of
    earlier versions."""
    if not load_report.setting_signs:
        return ""
    signs = list(dict.fromkeys(SIGNS[name] for name in effective(config.runtime.env) if name in SIGNS))
    values = {sign: [value for _, value in _seen(load_report, sign)] for sign in signs}
    absent = [str(sign) for sign in signs if not values[sign]]
    parts = [_summary(sign, values[sign]) for sign in signs if values[sign]]
    parts += [f"nothing to see of {', '.join(absent)}"] if absent else []
    return f"; {'; '.join(parts)}"


SUMMARIES: Mapping[Sign, str] = {
    Sign.CHUNK_BYTES: "{most:.0f} bytes per chunk",
    Sign.TRANSFER_THREADS: "{most:.0f} threads of a raylet take chunks",
    Sign.GRPC_CONNECTIONS: "{some} of {all} replicas are called over gRPC",
    Sign.HTTP_PORT: "{some} of {all} replicas take requests themselves",
    Sign.HAPROXY_REQUESTS: "HAProxy took {most:.0f} requests",
    Sign.USER_LOOP: "{some} of {all} replicas have an event loop for the user's code alone",
    Sign.ROUTER_LOOP: "{some} of {all} replicas have an event loop for their handles alone",
    Sign.FROZEN_OBJECTS: "{some} of {all} replicas have frozen objects",
}


def _summary(sign: Sign, values: Sequence[float]) -> str:
    some = sum(value > 0 for value in values)
    return SUMMARIES[sign].format(most=max(values), some=some, all=len(values))


def _seen(load_report: LoadReport, sign: Sign) -> Seen:
    those = (one for one in load_report.setting_signs if one.sign == sign)
    return [(one, one.value) for one in those if one.value is not None]


def _chunks(config: Config, value: str, seen: Seen) -> str | None:
    chunk = int(value)
    least = 0.0
    if workload_of(config) == TRANSFERS:
        size = object_bytes(config)
        least = LEAST_SHARE * size / math.ceil(size / chunk)
    for one, nbytes in seen:
        if not least <= nbytes <= TOLERANCE * chunk:
            return f"the raylet on {one.node} received {nbytes:.0f} bytes per chunk"
    return None


def _threads(_: Config, value: str, seen: Seen) -> str | None:
    wrong = next(((one, count) for one, count in seen if count != int(value)), None)
    return wrong and f"the raylet on {wrong[0].node} has {wrong[1]:.0f} threads that take chunks"


def _connections(config: Config, value: str, seen: Seen) -> str | None:
    """In the built-in service a handle calls at least one replica by default. In another application none
    need do so."""
    if value != "1":
        return _none_has(value, seen, "{process} has {count:.0f} connections to its gRPC port")
    if workload_of(config) == VIDEO and not any(count for _, count in seen):
        return "no replica has a connection to its gRPC port"
    return None


def _ports(_: Config, value: str, seen: Seen) -> str | None:
    if value != "1":
        return _none_has(value, seen, "{process} takes requests itself, at port {count:.0f}")
    return None if any(port for _, port in seen) else "no replica takes requests itself"


def _haproxy(_: Config, value: str, seen: Seen) -> str | None:
    if value != "1":
        return _none_has(value, seen, "{process} took {count:.0f} requests")
    return None if any(count for _, count in seen) else "HAProxy took no requests"


def _user_loop(_: Config, value: str, seen: Seen) -> str | None:
    wanted = 1.0 if value == "1" else 0.0
    wrong = next((one.process for one, count in seen if count != wanted), None)
    how = "on Serve's event loop" if wanted else "on an event loop of its own"
    return wrong and f"the code of {wrong} runs {how}"


def _router_loop(config: Config, value: str, seen: Seen) -> str | None:
    """A replica without handles has no such loop either; in the built-in service some have handles."""
    if value == "1" and workload_of(config) == VIDEO and not any(count for _, count in seen):
        return "the handles of no replica have an event loop of their own"
    return _none_has(value, seen, "the handles of {process} have an event loop of their own")


def _frozen(_: Config, value: str, seen: Seen) -> str | None:
    if value != "1":
        return _none_has(value, seen, "the garbage collector leaves out {count:.0f} objects of {process}")
    wrong = next((one.process for one, count in seen if not count), None)
    return wrong and f"the garbage collector leaves out no objects of {wrong}"


def _none_has(value: str, seen: Seen, text: str) -> str | None:
    """The text for the first that shows a sign, if the setting is off."""
    if value == "1":
        return None
    first = next(((one, count) for one, count in seen if count), None)
    return first and text.format(process=first[0].process, count=first[1])


JUDGES: Mapping[Sign, Callable[[Config, str, Seen], str | None]] = {
    Sign.CHUNK_BYTES: _chunks,
    Sign.TRANSFER_THREADS: _threads,
    Sign.GRPC_CONNECTIONS: _connections,
    Sign.HTTP_PORT: _ports,
    Sign.HAPROXY_REQUESTS: _haproxy,
    Sign.USER_LOOP: _user_loop,
    Sign.ROUTER_LOOP: _router_loop,
    Sign.FROZEN_OBJECTS: _frozen,
}


def _listener_problem(name: str, value: str, graph: Graph | None) -> str | None:
    """What else than HAProxy, or than replicas, listened where the requests went.

    None for records of earlier versions, in which all requests went to Serve's proxy.
    """
    if graph is None or value != "1" or name not in TAKES_REQUESTS:
        return None
    for one in graph.listeners:
        if one.own and one.port is not None and not TAKES_REQUESTS[name](one.command):
            return f"process {one.pid} ({one.command}) took the requests"
    return None


def _is_direct(command: str) -> bool:
    return is_haproxy(command) or replica_deployment(command) is not None


TAKES_REQUESTS: Mapping[str, Callable[[str], bool]] = {
    HAPROXY_VARIABLE: is_haproxy,
    DIRECT_VARIABLE: _is_direct,
}
"""Setting -> whether the process with this command line is one that takes requests with it."""
