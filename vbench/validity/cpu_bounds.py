"""Limits on the CPUs of the trial's processes while requests were measured, even if removed before the
end."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vbench.record.samples import MachineSample

LEAST_THROTTLED_S = 0.01
"""Less is not throttling: the kernel's counter is exact, and 0 without a quota."""

Problem = tuple[str, str]
"""What is wrong, and the remedy."""

REMEDY = "do not change the trial's processes while they run (taskset, renice, cgroups), and run it again"


def problems(
    processes: Mapping[str, Mapping[str, Any]], machines: Sequence[MachineSample]
) -> Iterator[Problem]:
    """Limits that appeared while requests were measured; ``processes``: the conditions at the end of that
    time.

    Nothing for older records, in which limits were not sampled. A quota that is still there at the end is
    judged by its size, since throttling is what it does.
    """
    sampled = [(sample, sample.bounds) for sample in machines if sample.bounds is not None]
    if not sampled:
        return
    changed = dict.fromkeys(text for _, bounds in sampled for text in bounds.changed)
    for text in changed:
        yield f"while requests were measured, the {text}", REMEDY
    if changed:
        return
    at_end = [len(facts["cpus"]) for facts in processes.values() if facts["cpus"] is not None]
    _, least = min(
        ((bounds.least_cpus, bounds) for _, bounds in sampled if bounds.least_cpus is not None),
        key=lambda pair: pair[0],
        default=(None, None),
    )
    if least is not None and at_end and (least.least_cpus or 0) < min(at_end):
        yield f"the {least.least_cpus_of} could run on only {least.least_cpus} CPUs", REMEDY
    quotas = [facts["quota_cpus"] for facts in processes.values() if facts["quota_cpus"] is not None]
    tightest = min(
        (bounds for _, bounds in sampled if bounds.quota_cpus is not None),
        key=lambda bounds: bounds.quota_cpus or 0.0,
        default=None,
    )
    if tightest is not None and (tightest.quota_cpus or 0.0) < min(quotas, default=float("inf")):
        yield (
            f"the {tightest.quota_cpus_of} had a quota of {tightest.quota_cpus:g} CPUs for some time",
            REMEDY,
        )
    throttled_s = max(bounds.throttled_s for _, bounds in sampled)
    if not quotas and throttled_s > LEAST_THROTTLED_S:
        yield (
            f"the kernel throttled the trial's control groups for {throttled_s:.2f} s, by a quota that was"
            " removed before the end",
            REMEDY,
        )
