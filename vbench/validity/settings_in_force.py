"""Whether every process that reads a variable of ``runtime.env`` had it, and what else shows that it did."""

from collections.abc import Iterator, Sequence
from itertools import chain

from vbench.config.schema import Config
from vbench.config.workload import TRANSFERS, workload_of
from vbench.ray_internals.setting_readers import SERVE, Role, readers
from vbench.record.load_report import LoadReport, ProcessSettings
from vbench.record.trial import Rule
from vbench.validity.catalog.runtime import SETTINGS_IN_FORCE
from vbench.validity.setting_signs import contradictions, evidence

ON_EVERY_NODE = (Role.RAYLET,)
"""Roles that each node has a process of."""


def judge(config: Config, load_report: LoadReport) -> Iterator[Rule]:
    """One rule for all variables; none without any."""
    env = config.runtime.env
    if not env:
        return
    missing = (_problem(config, name, value, load_report.settings_found) for name, value in env.items())
    problems = chain(missing, contradictions(config, load_report))
    first = next((problem for problem in problems if problem is not None), None)
    processes = len({(one.node, one.pid) for one in load_report.settings_found})
    yield SETTINGS_IN_FORCE.verdict(
        passed=first is None,
        observed=(
            first
            or f"{_counted(len(env))} in each of the {processes} processes that may read one"
            f"{evidence(config, load_report)}"
        ),
    )


def roles(name: str, *, is_transfer: bool) -> list[Role]:
    """The roles that read this setting and that a trial of this load has."""
    there = [Role.RAYLET, Role.GCS, Role.DRIVER, *([Role.WORKER] if is_transfer else SERVE)]
    return [role for role in readers(name) if role in there]


def _problem(config: Config, name: str, value: str, settings: Sequence[ProcessSettings]) -> str | None:
    for role in roles(name, is_transfer=workload_of(config) == TRANSFERS):
        processes = [one for one in settings if one.role == role]
        nodes = {one.node for one in processes}
        missing = [node for node in config.cluster.nodes if role in ON_EVERY_NODE and node not in nodes]
        if not processes or missing:
            return f"no {role} was found{f' on {missing[0]}' if missing else ''}"
        for one in processes:
            if one.found is None:
                return f"the environment of the {role} on {one.node} (process {one.pid}) could not be read"
            if one.found.get(name) != value:
                there = f"{name}={one.found[name]}" if name in one.found else f"no {name}"
                return f"the {role} on {one.node} (process {one.pid}) has {there} instead of {name}={value}"
    return None


def _counted(variables: int) -> str:
    return "1 variable" if variables == 1 else f"{variables} variables"
