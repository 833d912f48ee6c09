"""Each key of the configuration that the rules read is known: as what should run, or as a bound that is named
when it is loosened."""

import fnmatch
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass, replace
from typing import Any

import pytest

from tests.support import records
from tests.validity import honest, parts
from vbench.config.schema import Config, NodeConfig
from vbench.record.measurements import Measurements
from vbench.record.samples import GpuSample
from vbench.validity import rule_bounds, rules

WHAT_SHOULD_RUN = (
    "mode",
    "workload",
    "app.check",
    "model.*",
    "pipeline.*",
    "video.scene.fps",
    "video.scene.length_s",
    "cluster.name",
    "cluster.deployments.*",
    "cluster.nodes.*.cpus",
    "cluster.nodes.*.gpus",
    "load.name",
    "load.requests",
    "load.concurrency",
    "load.objects",
    "load.object_mb",
    "runtime.*",
)
"""Another value asks for another trial, and a rule compares the trial with it."""

NEVER_LOOSER = ("load.sample_period_s",)
"""A larger value than the shipped one, with which rules would see less, is refused (vbench.run.validate)."""


class Reads:
    """A configuration that notes each value that is read."""

    def __init__(self, part: Any, at: str, seen: set[str]) -> None:
        self._part, self._at, self._seen = part, at, seen

    def _value(self, name: str, value: Any) -> Any:
        at = f"{self._at}.{name}".removeprefix(".")
        if is_dataclass(value) or isinstance(value, dict):
            return Reads(value, at, self._seen)
        self._seen.add(at)
        return value

    def __getattr__(self, name: str) -> Any:
        return self._value(name, getattr(self._part, name))

    def __getitem__(self, name: str) -> Any:
        return self._value(name, self._part[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._part)

    def __len__(self) -> int:
        return len(self._part)

    def __bool__(self) -> bool:
        return is_dataclass(self._part) or bool(self._part)

    def keys(self) -> Any:
        return self._part.keys()

    def values(self) -> list[Any]:
        return [self[name] for name in self._part]

    def items(self) -> list[tuple[str, Any]]:
        return [(name, self[name]) for name in self._part]


def keys_read(load: str, *, shaped: bool) -> set[str]:
    """By all rules, over a record of a load, on a cluster with links or without."""
    record = honest.record(shaped=shaped)
    record.config.load.name = load
    record.config.cluster.nodes["head"] = NodeConfig(gpus=1)
    watched = parts.load_report()
    gpu = GpuSample(
        gpu=0, busy_percent=50.0, memory_used_mb=1.0, energy_j=1.0, sm_mhz=1000, foreign_percent=1.0
    )
    found: set[str] = set()
    rules.judge(
        Reads(record.config, "", found),  # type: ignore[arg-type]
        replace(record.load_report, stalls=watched.stalls, conditions=watched.conditions),
        Measurements(
            requests=record.requests,
            nodes=[records.sample(100.0), records.sample(101.0)],
            machines=[records.machine(at_s, gpus=(gpu,)) for at_s in (100.0, 101.0)],
            spans=record.spans,
            network=record.network,
        ),
        records.clip(),
        parts.harness(),
    )
    return found


READ = set().union(
    *(keys_read(load, shaped=shaped) for load in ("closed", "transfer") for shaped in (False, True))
)
NAMED = {*(bound.key for bound in rule_bounds.BOUNDS), *rule_bounds.OFF_AT_ZERO}


@pytest.mark.parametrize("key", sorted(READ))
def test_a_key_that_the_rules_read_says_what_should_run_or_is_named_when_it_is_loosened(key: str) -> None:
    is_bound = key.rpartition(".")[2].startswith((rule_bounds.MOST, rule_bounds.LEAST))
    assert not is_bound or key in NAMED or key.startswith("cluster.deployments.")
    known = {*WHAT_SHOULD_RUN, *NEVER_LOOSER, *NAMED}
    assert any(fnmatch.fnmatchcase(key, pattern) for pattern in known), (
        f"is {key} what a trial should do (WHAT_SHOULD_RUN here), or a bound (vbench.validity.rule_bounds)?"
    )


def test_every_bound_is_one_that_the_rules_read() -> None:
    assert NAMED <= READ


@pytest.mark.parametrize("key", rule_bounds.OFF_AT_ZERO)
def test_what_leaves_out_a_rule_is_named(key: str) -> None:
    plain = asdict(records.config(f"{key}=0"))
    assert rule_bounds.loosened(plain) == [f"{key}=0 ({rule_bounds.OFF_AT_ZERO[key]})"]
    assert rule_bounds.loosened(asdict(records.config(f"{key}=1"))) == []


def test_without_a_warm_up_no_rule_says_whether_replicas_were_warm() -> None:
    config: Config = parts.config(warmup=0)
    load_report = parts.load_report(cold_deployments=None)
    names = {rule.name for rule in rules.judge(config, load_report, Measurements())}
    assert "every replica was warm" not in names
    assert rule_bounds.loosened(asdict(config)) != []
