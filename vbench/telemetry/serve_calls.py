"""Collects the calls of an application's deployments from the processes of Serve that made and answered
them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import ray

from vbench.errors import SEE_RAY_LOG, TrialError
from vbench.ray_internals.serve import ReplicaActor, replica_actors, serve_actor_handle, serve_actors
from vbench.ray_internals.serve_calls import CallSpan, request_spans
from vbench.ray_internals.setting_readers import Role
from vbench.record.calls import Call

ANSWER_S = 60.0
"""Time within which a process of Serve hands over its spans."""

NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpans:
    """The spans of one process of Serve, in its node's time."""

    deployment: str | None
    """None for a proxy."""
    replica: str
    node: str
    spans: list[CallSpan]


def take_calls(nodes: Mapping[str, str], clocks_off_s: Mapping[str, float]) -> list[Call] | None:
    """The calls that have ended since this was last asked; None if Serve's spans go elsewhere.

    Those of replicas that have ended meanwhile are lost.

    Args:
        nodes: Ray's node id -> name.
        clocks_off_s: node -> how far its clock is ahead, if they differ.

    Raises:
        TrialError: a process of Serve does not hand over its spans.
    """
    replicas = replica_actors()
    several = len({replica.application for replica in replicas}) > 1
    owners: list[tuple[str, str | None, str, str]] = [
        (one.name, deployment_title(one, several=several), one.replica, one.node_id) for one in replicas
    ]
    owners += [(one.name, None, one.name, one.node_id) for one in serve_actors() if one.role == Role.PROXY]
    asked = [(owner, request_spans(serve_actor_handle(owner[0]))) for owner in owners]
    processes = []
    for (name, deployment, replica, node_id), request in asked:
        try:
            spans = ray.get(request, timeout=ANSWER_S)
        except ray.exceptions.GetTimeoutError as error:
            raise TrialError(
                f"{name} did not hand over the times of its calls within {ANSWER_S:g} s: is it blocked?"
                f" {SEE_RAY_LOG}"
            ) from error
        except ray.exceptions.RayActorError:
            continue  # a replica that Serve has just removed
        if spans is not None:
            node = nodes.get(node_id, node_id)
            processes.append(ProcessSpans(deployment=deployment, replica=replica, node=node, spans=spans))
    if not any(process.deployment for process in processes):
        return None
    return calls_of(processes, clocks_off_s)


def cold_deployments(warm_up: Sequence[Call] | None, measured: Sequence[Call] | None) -> list[str] | None:
    """Deployments of which a replica had measured calls and none in the warm-up; None if calls are not
    known."""
    if warm_up is None or measured is None:
        return None
    warm = {(call.deployment, call.replica) for call in warm_up}
    return sorted({call.deployment for call in measured if (call.deployment, call.replica) not in warm})


def deployment_title(replica: ReplicaActor, *, several: bool) -> str:
    """A deployment's name; with its application's if there are several."""
    return f"{replica.application}/{replica.deployment}" if several else replica.deployment


def calls_of(processes: Iterable[ProcessSpans], clocks_off_s: Mapping[str, float]) -> list[Call]:
    """Each call with the moment at which it was made, in the order in which they began."""
    routed: dict[int, tuple[CallSpan, ProcessSpans, float]] = {}
    handled: list[tuple[CallSpan, ProcessSpans, float]] = []
    for process in processes:
        off_s = clocks_off_s.get(process.node, 0.0)
        for span in process.spans:
            if span.is_routing:
                routed[span.span] = span, process, off_s
            elif process.deployment is not None:
                handled.append((span, process, off_s))
    ids = {span.span for span, *_ in handled}
    calls, makers = [], {}
    for span, process, off_s in handled:
        routing, maker, caller_off_s = routed.get(span.parent or 0, (None, process, 0.0))
        caller = routing.parent if routing is not None and routing.parent in ids else None
        call = Call(
            request=f"{span.trace:032x}",
            call=f"{span.span:016x}",
            caller=None if caller is None else f"{caller:016x}",
            deployment=process.deployment or "",
            replica=process.replica,
            node=process.node,
            made_s=None if routing is None else routing.start_ns / NANOSECONDS - caller_off_s,
            began_s=span.start_ns / NANOSECONDS - off_s,
            ended_s=span.end_ns / NANOSECONDS - off_s,
        )
        calls.append(call)
        if routing is not None and caller is None and maker.deployment is not None:
            makers[call.call] = maker.replica
    return sorted(_with_callers(calls, makers), key=lambda call: call.began_s)


def _with_callers(calls: Sequence[Call], makers: Mapping[str, str]) -> Iterator[Call]:
    """Serve loses the caller of a call that is made in an endpoint of FastAPI. The replica that made it is
    known (``makers``): the caller is a call that it was processing then, and of several the one with the
    fewest calls of that deployment so far.
    """
    made: Counter[tuple[str, str]] = Counter()
    request = {call.call: call.request for call in calls}
    for call in sorted(calls, key=lambda call: call.made_s or call.began_s):
        caller = call.caller
        if call.call in makers and call.made_s is not None:
            under_way = [
                other
                for other in calls
                if other.replica == makers[call.call] and other.began_s <= call.made_s <= other.ended_s
            ]
            if under_way:
                caller = min(under_way, key=lambda one: (made[one.call, call.deployment], one.began_s)).call
                made[caller, call.deployment] += 1
        if caller is not None:
            request[call.call] = request[caller]
        yield replace(call, caller=caller, request=request[call.call])
