"""Whether the trial's processes could use the configured CPUs, and ran without changes from outside."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vbench.clusters.emulated.validate import EMULATED
from vbench.config.interpreter import LINKED
from vbench.config.schema import Config
from vbench.ray_internals.node import PRELOADED_LIBRARY
from vbench.record.condition_owners import HARNESS, MACHINE, RAYLET, WORKERS
from vbench.record.harness import Harness
from vbench.record.load_report import LoadReport
from vbench.record.samples import MachineSample
from vbench.record.trial import Rule, Trial
from vbench.validity import cpu_bounds
from vbench.validity.catalog.machine import CPUS_AS_CONFIGURED

ALTERING = ("LD_PRELOAD", "LD_AUDIT")
"""Variables that load other code into a program: ld.so(8)."""

SLOWING = (
    "PYTHONASYNCIODEBUG",
    "PYTHONDEVMODE",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONTRACEMALLOC",
)
"""Variables with which Python observes itself, and slows down."""

Facts = Mapping[str, Any]


def judge(
    config: Config, load_report: LoadReport, harness: Harness | None, machines: Sequence[MachineSample] = ()
) -> Iterator[Rule]:
    """The rule "the trial had the configured CPUs"; none for older records without conditions."""
    if harness is None or not harness.conditions or not load_report.conditions:
        return
    is_here = f"{HARNESS}{MACHINE}" in harness.conditions
    known = {**(harness.conditions if is_here else {}), **load_report.conditions}
    processes = {who: facts for who, facts in known.items() if not who.endswith(MACHINE)}
    machine = known.get(f"{HARNESS}{MACHINE}", {})
    problems = [
        *_unread(processes),
        *_narrowed(config, processes, known, machine),
        *(_apart(processes) if is_here else ()),
        *_altered(processes),
        *cpu_bounds.problems(processes, machines),
    ]
    usable = {str(facts["usable_cpus"]) for who, facts in processes.items() if who.startswith(RAYLET)}
    yield CPUS_AS_CONFIGURED.verdict(
        passed=not problems,
        observed=(
            "; ".join(text for text, _ in problems)
            or f"every raylet can use {' or '.join(sorted(usable))} CPUs"
        ),
        remedy="; ".join(dict.fromkeys(remedy for _, remedy in problems)) or None,
    )


Problem = tuple[str, str]
"""What is wrong, and the remedy."""


def _unread(processes: Mapping[str, Facts]) -> Iterator[Problem]:
    for who, facts in processes.items():
        if facts["usable_cpus"] is None:
            yield f"the CPUs of {who} could not be read", "run vbench as the user who owns these processes"


def _narrowed(
    config: Config, processes: Mapping[str, Facts], known: Mapping[str, Facts], machine: Facts
) -> Iterator[Problem]:
    """Processes that can use fewer CPUs than there are, if the configuration needs more."""
    nodes = config.cluster.nodes
    counted = [node.cpus for node in nodes.values()]
    for who, facts in processes.items():
        node = who.removeprefix(RAYLET).removeprefix(WORKERS)
        own = known.get(f"{node}{MACHINE}")
        online, usable = (own or machine).get("online_cpus"), facts["usable_cpus"]
        if not online or usable is None or usable >= online:
            continue
        wanted = [nodes[node].cpus] if own is not None and node in nodes else counted
        total = None if None in wanted else sum(count or 0 for count in wanted)
        is_emulated = config.cluster.name == EMULATED
        if total is not None and total <= usable and not is_emulated:
            continue
        all_counted = f"all {online} CPUs" if total is None or is_emulated else f"{total} CPUs"
        yield (
            f"{who} can use {_cpus(facts)} of {online} CPUs, but the configuration needs {all_counted}",
            "remove the limit (taskset, or a container's quota)"
            + (
                ""
                if is_emulated or usable < 1
                else f", or configure fewer: cluster.nodes.{next(iter(nodes))}.cpus={int(usable)}"
            ),
        )


def _cpus(facts: Facts) -> str:
    quota = facts["quota_cpus"]
    if quota is not None and quota <= len(facts["cpus"]):
        return f"{quota:g} (by its control group's quota)"
    return f"{len(facts['cpus'])} (by its affinity: {', '.join(map(str, facts['cpus']))})"


def _apart(processes: Mapping[str, Facts]) -> Iterator[Problem]:
    """Processes of one machine that can use other CPUs than the harness, or have another priority."""
    first = processes[HARNESS]
    for who, facts in processes.items():
        for name in ("cpus", "quota_cpus", "nice", "policy"):
            if name in ("nice", "policy") and who.startswith(WORKERS):
                continue  # Ray itself gives its workers another priority than its raylets
            if facts[name] is not None and facts[name] != first[name]:
                yield (
                    f"{name} of {who} is {facts[name]}, but that of the {HARNESS} is {first[name]}",
                    "do not change the trial's processes (taskset, renice, cgroups), and run the trial again",
                )


def _altered(processes: Mapping[str, Facts]) -> Iterator[Problem]:
    for who, facts in processes.items():
        for name, value in (facts.get("environment") or {}).items():
            if (
                name == "LD_PRELOAD"
                and value.endswith(PRELOADED_LIBRARY)
                and who.startswith((RAYLET, WORKERS))
            ):
                continue
            debugs = name == "PYTHONMALLOC" and "debug" in value
            if name in ALTERING or name in SLOWING or debugs:
                yield f"{name}={value} is set for {who}", f"unset {name} and run the trial again"


def usable_cpus(trial: Trial, machine: str) -> float | None:
    """The CPUs that the trial's processes can use together on a machine, by their affinity and the quotas of
    their control groups; None if the record does not say.

    ``machine``: as the machine's samples call it: a host name, or the names of its nodes elsewhere, joined by
    ``+``. Processes of one machine are assumed to share a quota: ``_apart`` finds those that do not.
    """
    harness = trial.harness.conditions if trial.harness else {}
    load_report = trial.load_report.conditions if trial.load_report else {}
    if f"{HARNESS}{MACHINE}" in harness:
        own = [facts for who, facts in {**harness, **load_report}.items() if not who.endswith(MACHINE)]
    else:
        nodes = machine.split("+")
        own = [
            load_report[who]
            for node in nodes
            for kind in (RAYLET, WORKERS)
            if (who := f"{kind}{node}") in load_report
        ]
    if not own or any(facts["cpus"] is None for facts in own):
        return None
    by_affinity = len({cpu for facts in own for cpu in facts["cpus"]})
    quotas = [facts["quota_cpus"] for facts in own]
    return float(by_affinity) if None in quotas else float(min(by_affinity, max(quotas)))


CPUS_ALONE = ("cpus", "quota_cpus", "usable_cpus")
"""What is compared for workers: which of them is sampled is random."""


def comparable(trial: Trial) -> Iterator[tuple[str, str]]:
    """Name and value of each condition that must be the same in compared trials; none for a record without.

    For an attached cluster, the boot of a machine means nothing, since other settings run on other machines,
    and the path of the package that Ray unpacked for a job contains the cluster's name. Where the environment
    of an arm lies (``runtime.python``) is no condition.
    """
    harness = trial.harness.conditions if trial.harness else {}
    load_report = trial.load_report.conditions if trial.load_report else {}
    is_here = f"{HARNESS}{MACHINE}" in harness
    for who, facts in {**(harness if is_here else {}), **load_report}.items():
        for name, value in facts.items():
            if who.startswith(WORKERS) and name not in CPUS_ALONE:
                continue
            if name == "boot_id" and not is_here:
                continue
            if name == "environment":
                for variable, text in (value or {}).items():
                    plain = _without_interpreter(variable, str(text))
                    if plain and (is_here or variable != "PYTHONPATH"):
                        yield f"{variable} of {who}", plain
            else:
                yield f"{name} of {who}", str(value)


def _without_interpreter(variable: str, text: str) -> str:
    """A variable without paths that come from the environment in which an arm runs."""
    if variable == "LD_PRELOAD" and text.endswith(PRELOADED_LIBRARY):
        return PRELOADED_LIBRARY
    if variable == "PYTHONPATH":
        return os.pathsep.join(path for path in text.split(os.pathsep) if not path.endswith(f"/{LINKED}"))
    return text
