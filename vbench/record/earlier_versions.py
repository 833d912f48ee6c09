"""Records of earlier schema versions, brought into the form of the current one while they are read."""

from collections.abc import Mapping
from typing import Any

from vbench.record.trial import SCHEMA_VERSION

READABLE = (2, SCHEMA_VERSION)
"""Schema versions of ``trial.json`` that can be read; vbench.record.trial says how they differ."""

GONE: Mapping[str, tuple[str, ...]] = {
    "requests.jsonl": ("crossed_bytes",),
    "nodes.jsonl": ("gpu_percent", "loopback_bytes", "unix_s"),
}
"""File -> keys of its lines that earlier versions wrote, and that nothing reads."""

GONE_FROM_LOAD_REPORT = ("url", "measured_from_s", "measured_to_s", "quiet_after_s")
"""The same for what ``trial.json`` holds as the load process's report."""

RENAMED_IN_LOAD_REPORT = {
    "runtime_asked": "flags_requested",
    "runtime_found": "flags_found",
    "cold": "cold_deployments",
    "late_sent_bytes": "post_run_bytes",
    "not_sent": "unsent_requests",
}
"""Its keys in version 2, and what they are called now."""

RENAMED_IN_RULE = {"holds": "passed", "found": "observed"}
RENAMED_RULES = {
    "no process was killed for want of memory": "no process was killed for lack of memory",
    "what had to cross went over the shaped links": "all transfers went over the shaped links",
    "the machine's CPUs were not what transfers waited for": "transfers did not wait for the machine's CPUs",
    "the shaped links were what transfers waited for": "transfers waited for the shaped links",
    "what was sent is what had to cross, and Ray's own repeats": "nothing else used the links",
    "the trial had the CPUs it counts on": "the trial had the configured CPUs",
    "the latency is the service's": "the latency is the service's own",
    "the record agrees with itself": "the record is consistent",
    "the measured time passed for others too": "other processes saw the same measured time",
    "the service had just the recorded requests": "the service had only the recorded requests",
    "each request was computed anew": "each request was computed again",
    "requests in a row asked for different videos": "consecutive requests asked for different videos",
}
"""Rules of version 2 that have a new name, and judge the same."""

RENAMED_IN_CONNECTIONS = {"found": "established"}
RENAMED_IN_GRAPH = {"replicas_asked": "replicas_configured"}
RENAMED_IN_LISTENER = {"looks_percent": "present_percent"}


def to_current(trial: dict[str, Any]) -> dict[str, Any]:
    """The content of a ``trial.json`` of any readable version, with today's keys.

    ``schema_version`` stays that of the file. A value of a wrong type stays as it is, for the reader to
    refuse.
    """
    if trial["schema_version"] == SCHEMA_VERSION:
        return trial
    current = {key: value for key, value in trial.items() if key != "observed"}
    current["rules"] = (
        [_rule(rule) for rule in rules] if isinstance(rules := trial.get("rules"), list) else rules
    )
    current["load_report"] = _load_report(trial.get("observed"))
    return current


def _rule(rule: Any) -> Any:
    current = _renamed(rule, RENAMED_IN_RULE)
    if isinstance(current, dict) and isinstance(name := current.get("name"), str):
        current["name"] = RENAMED_RULES.get(name, name)
    return current


def _load_report(report: Any) -> Any:
    if not isinstance(report, dict):
        return report
    kept = {key: value for key, value in report.items() if key not in GONE_FROM_LOAD_REPORT}
    current = _renamed(kept, RENAMED_IN_LOAD_REPORT)
    current["connections"] = _each_renamed(report.get("connections"), RENAMED_IN_CONNECTIONS)
    graph = current.get("graph")
    if isinstance(graph, dict):
        graph = _renamed(graph, RENAMED_IN_GRAPH)
        graph["listeners"] = _each_renamed(graph.get("listeners"), RENAMED_IN_LISTENER)
        current["graph"] = graph
    return current


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A dictionary with other names for some keys; anything else as it is."""
    if not isinstance(value, dict):
        return value
    return {names.get(key, key): inner for key, inner in value.items()}


def _each_renamed(values: Any, names: Mapping[str, str]) -> Any:
    """Each of a list as ``_renamed``; anything else as it is."""
    return [_renamed(value, names) for value in values] if isinstance(values, list) else values
