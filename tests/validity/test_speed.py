"""A machine that became slower while a trial ran is found by the same work before and after it."""

import os
from dataclasses import replace

import pytest

from tests.support import records
from tests.validity import parts
from vbench.record.harness import Speed, SpeedChange
from vbench.record.load_report import LoadReport
from vbench.record.trial import Rule
from vbench.telemetry import speed as telemetry
from vbench.validity import speed

BEFORE = Speed(single_per_s=700, all_per_s=1400, processes=2)


def judged(after: Speed | None, **load: float) -> Rule | None:
    harness = parts.harness(speed_before=BEFORE, speed_after=after)
    return next(speed.judge(parts.config(**load).load, harness, parts.load_report()), None)


@pytest.mark.parametrize(
    ("after", "passed"),
    [
        (replace(BEFORE, single_per_s=650), True),
        (replace(BEFORE, all_per_s=900), True),
        (replace(BEFORE, all_per_s=700), False),
        (replace(BEFORE, single_per_s=350), False),
        (replace(BEFORE, single_per_s=1400, all_per_s=2800), False),
        (None, False),
    ],
)
def test_a_change_of_either_figure_beyond_the_bound_breaks_the_rule(
    after: Speed | None, passed: bool
) -> None:
    rule = judged(after)
    assert rule is not None
    assert rule.passed == passed
    assert rule.name == "the machine kept its speed"


def test_the_bound_is_the_configurations() -> None:
    rule = judged(replace(BEFORE, all_per_s=700), max_speed_change_percent=60)
    assert rule is not None
    assert rule.passed


def elsewhere(**after: Speed) -> LoadReport:
    """Machines by name, each as fast as ``BEFORE`` at first."""
    speeds = {name: SpeedChange(before=BEFORE, after=speed) for name, speed in after.items()}
    return parts.load_report(speeds=speeds)


def test_of_a_cluster_elsewhere_the_machine_that_changed_most_is_judged() -> None:
    load = parts.config().load
    own = parts.harness(speed_before=None, speed_after=None)
    slow = replace(BEFORE, all_per_s=700)
    (held,) = speed.judge(load, own, elsewhere(head=BEFORE, gpu=replace(BEFORE, single_per_s=680)))
    assert held.passed
    (broken,) = speed.judge(load, own, elsewhere(head=BEFORE, gpu=slow))
    assert not broken.passed
    assert broken.observed.startswith("gpu: -50.0% from before the trial to after it")


def test_where_no_speed_was_measured_there_is_no_rule() -> None:
    load = parts.config().load
    own = parts.harness(speed_before=None, speed_after=None)
    assert list(speed.judge(load, own, parts.load_report())) == []
    assert list(speed.judge(load, None, parts.load_report())) == []


def test_trials_of_a_machine_that_was_not_equally_fast_are_said_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records, "config", lambda *_: parts.config())
    slow = replace(BEFORE, all_per_s=1000)
    fast = records.trial(arm="runtime=oss", harness=parts.harness(speed_before=BEFORE, speed_after=BEFORE))
    slower = records.trial(arm="runtime=single", harness=parts.harness(speed_before=BEFORE, speed_after=slow))
    assert speed.caveats([fast, fast]) == []
    (note,) = speed.caveats([fast, slower])
    assert "differed by 29% between trials (slowest: runtime=single, block 1;" in note
    assert speed.caveats([fast, records.trial()]) == [], "a record of before does not know"
    there = [
        records.trial(harness=None, load_report=elsewhere(head=BEFORE, gpu=one)) for one in (BEFORE, slow)
    ]
    (note,) = speed.caveats(there)
    assert note.startswith("The speed of the machine of gpu differed by 29% between trials")


def test_this_machine_has_a_speed_for_one_process_and_for_all_its_cpus() -> None:
    found = telemetry.measure()
    assert found.processes == len(os.sched_getaffinity(0))
    assert found.single_per_s > 0
    assert found.all_per_s > 0


def test_a_speed_that_differs_is_measured_again_before_it_counts() -> None:
    """A program that ran for a moment is gone by then; a machine that is slower for good is not."""
    unreachable = Speed(single_per_s=1e9, all_per_s=1e9, processes=1)
    assert telemetry.measure_again(unreachable, 40).tries == telemetry.TRIES
    assert telemetry.measure_again(unreachable, 100).tries == 1
