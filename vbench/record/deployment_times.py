"""Where the time of an application's calls went, by deployment, and how busy its replicas were."""

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vbench.record.calls import Call
from vbench.record.intervals import Interval, length_s, merged
from vbench.record.quantiles import percentile, requests_needed

NOT_IN_A_METRIC = re.compile(r"[^\w\-. :/]")
"""Characters that a metric's name may not have in MLflow."""

WAIT, PROCESSING, OWN, AFTER, BUSY, AT_ONCE, CALLS = (
    f"deployment_{name}."
    for name in (
        "wait_mean_s",
        "processing_mean_s",
        "own_mean_s",
        "after_calls_mean_s",
        "busy_percent",
        "calls_at_once",
        "calls_per_request",
    )
)
"""Starts of metrics' names, before that of the deployment."""

COLUMNS = {
    "wait": WAIT,
    "processing": PROCESSING,
    "own": OWN,
    "after calls": AFTER,
}
"""The times of a call as a reader sees them -> metric."""

QUANTILES = (50, 90)
"""Percentiles of the processing time, as far as the number of calls supports them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentTimes:
    """The calls of one deployment. Times are in seconds."""

    deployment: str
    replicas: int
    """That could have worked: all that ran at the end."""
    calls: int
    wait_mean_s: float | None
    """Until a replica begins: it has room, and all arguments are computed and transferred. None if it is not
    known when each call was made."""
    processing_mean_s: float
    """In the replica, waiting for deployments that it calls included."""
    processing_s: Sequence[float]
    """The same of each call."""
    own_mean_s: float
    """The time in the replica until it calls another deployment; all of it if it calls none."""
    after_calls_mean_s: float
    """The time in the replica in which a call that it made has ended and none is under way: results are on
    their way back, or it works with them. Serve does not say which."""
    busy_s: float
    """Time in which a replica has at least one call in its own time, mean over the replicas."""
    at_once: float
    """How many such calls a busy replica has, mean over its busy time."""


def deployment_times(
    calls: Sequence[Call], placement: Mapping[str, Mapping[str, int]]
) -> list[DeploymentTimes]:
    """Of each deployment that was called, in the order of their first calls.

    ``placement``: deployment -> node -> replicas.
    """
    own, after = own_intervals(calls)
    by_deployment: dict[str, list[Call]] = {}
    for call in sorted(calls, key=lambda call: call.began_s):
        by_deployment.setdefault(call.deployment, []).append(call)
    return [_times(name, group, own, after, placement.get(name, {})) for name, group in by_deployment.items()]


def _times(
    name: str,
    calls: Sequence[Call],
    own: Mapping[str, Sequence[Interval]],
    after: Mapping[str, Sequence[Interval]],
    placed: Mapping[str, int],
) -> DeploymentTimes:
    by_replica: dict[str, list[Interval]] = {}
    for call in calls:
        by_replica.setdefault(call.replica, []).extend(own[call.call])
    replicas = max(sum(placed.values()), len(by_replica))
    after_s = sum(length_s(after[call.call]) for call in calls)
    own_s = sum(map(length_s, by_replica.values()))
    busy_s = sum(length_s(merged(intervals)) for intervals in by_replica.values())
    processing_s = [call.ended_s - call.began_s for call in calls]
    waits_s = [max(0.0, call.began_s - call.made_s) for call in calls if call.made_s is not None]
    return DeploymentTimes(
        deployment=name,
        replicas=replicas,
        calls=len(calls),
        wait_mean_s=statistics.fmean(waits_s) if len(waits_s) == len(calls) else None,
        processing_mean_s=statistics.fmean(processing_s),
        processing_s=processing_s,
        own_mean_s=own_s / len(calls),
        after_calls_mean_s=after_s / len(calls),
        busy_s=busy_s / replicas,
        at_once=own_s / busy_s if busy_s else 0.0,
    )


def own_intervals(calls: Sequence[Call]) -> tuple[dict[str, list[Interval]], dict[str, list[Interval]]]:
    """Call -> when it was processed and had made no call yet; call -> when it was processed, a call that it
    made had ended, and none was under way."""
    made: dict[str, list[Interval]] = {}
    for call in calls:
        if call.caller is not None:
            since_s = call.began_s if call.made_s is None else call.made_s
            made.setdefault(call.caller, []).append((since_s, call.ended_s))
    own, after = {}, {}
    for call in calls:
        parts = made.get(call.call, [])
        first_s = min((start_s for start_s, _ in parts), default=call.ended_s)
        until_s = min(max(first_s, call.began_s), call.ended_s)
        own[call.call] = [(call.began_s, until_s)] if until_s > call.began_s else []
        after[call.call] = _without((until_s, call.ended_s), parts) if until_s < call.ended_s else []
    return own, after


def _without(whole: Interval, parts: Iterable[Interval]) -> list[Interval]:
    """What is left of an interval without the parts."""
    left, at_s = [], whole[0]
    for start_s, end_s in merged(parts):
        if start_s > at_s:
            left.append((at_s, min(start_s, whole[1])))
        at_s = max(at_s, end_s)
        if at_s >= whole[1]:
            return left
    if at_s < whole[1]:
        left.append((at_s, whole[1]))
    return left


def of_deployments(times: Sequence[DeploymentTimes], requests: int, measured_s: float) -> dict[str, float]:
    """Of each deployment: calls per request; seconds per call until a replica begins, in the replica (mean,
    and the quantiles that this number of calls supports), before it calls others and after that;
    the share of the measured time in which its replicas are busy, and with how many calls at once."""
    metrics: dict[str, float] = {}
    for one in times:
        values = {
            CALLS: one.calls / requests,
            WAIT: one.wait_mean_s,
            PROCESSING: one.processing_mean_s,
            **{
                f"deployment_processing_p{percent}_s.": percentile(one.processing_s, percent)
                for percent in QUANTILES
                if one.calls >= requests_needed(percent)
            },
            OWN: one.own_mean_s,
            AFTER: one.after_calls_mean_s,
            BUSY: 100 * one.busy_s / measured_s,
            AT_ONCE: one.at_once,
        }
        name = NOT_IN_A_METRIC.sub("_", one.deployment)
        metrics |= {f"{start}{name}": value for start, value in values.items() if value is not None}
    return metrics


def deployments_in(metrics: Mapping[str, float]) -> list[str]:
    """The names of the deployments in a trial's metrics, in their order."""
    return [name.removeprefix(OWN) for name in metrics if name.startswith(OWN)]
