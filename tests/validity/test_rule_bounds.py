"""Whoever reports that a trial is valid says which bounds were loosened."""

import io
from dataclasses import asdict, fields

import pytest
from rich.console import Console

from tests.support import records
from tests.validity import parts
from vbench.config.schema import Config, LoadConfig
from vbench.record.trial import Trial
from vbench.run.trial_report import show_sweep, show_trial
from vbench.validity import rule_bounds


def trial(**load: float) -> Trial:
    config: Config = parts.config(**load)
    latencies = {f"latency_{name}_s": 2.0 for name in ("mean", "p50", "p90", "p99", "max")}
    return records.trial(config=asdict(config), metrics={"requests": 3, **latencies})


def printed(show: object, what: object) -> str:
    out = io.StringIO()
    show(Console(file=out, width=200), what)
    return out.getvalue()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "config", lambda *_: parts.config())


def test_the_shipped_configuration_loosens_nothing() -> None:
    assert rule_bounds.loosened(asdict(parts.config())) == []


@pytest.mark.parametrize("bound", rule_bounds.BOUNDS, ids=lambda bound: bound.key)
def test_every_bound_is_seen_when_it_is_looser_and_not_when_it_is_tighter(bound: rule_bounds.Bound) -> None:
    name = bound.key.removeprefix("load.")
    looser, tighter = (2, 0.5) if name.startswith("max_") else (0.5, 2)
    assert rule_bounds.loosened(asdict(parts.config(**{name: bound.shipped * looser}))) == [
        f"{bound.key}={bound.shipped * looser:g} (shipped: {bound.shipped:g})"
    ]
    assert rule_bounds.loosened(asdict(parts.config(**{name: bound.shipped * tighter}))) == []
    assert rule_bounds.loosened(asdict(parts.config(**{name: float("nan")}))) != []


def test_every_limit_of_the_load_is_a_bound() -> None:
    known = {bound.key.removeprefix("load.") for bound in rule_bounds.BOUNDS}
    assert known == {each.name for each in fields(LoadConfig) if each.name.startswith(("max_", "min_"))}
    assert {"max_foreign_cpu_percent", "max_late_ms", "max_stall_ms", "max_machine_cpu_percent"} <= known


def test_a_bound_that_an_earlier_version_did_not_have_is_not_loosened() -> None:
    assert rule_bounds.loosened({"load": {"max_late_ms": 250}}) == []
    assert rule_bounds.loosened({}) == []


def test_the_console_says_it_beside_valid() -> None:
    loose = trial(max_foreign_cpu_percent=100)
    said = printed(show_trial, loose)
    assert "loosened: load.max_foreign_cpu_percent=100 (shipped: 5)" in said
    assert "loosened" not in printed(show_trial, trial())


def test_a_sweeps_table_marks_the_trial_and_says_how_many() -> None:
    said = printed(show_sweep, [trial(max_late_ms=9000), trial()])
    assert "yes, loosened" in said
    assert "LIMITS LOOSENED: load.max_late_ms=9000 (shipped: 250) in 1 of 2 trials" in said
