"""Before a study starts, it says when it will end and what its blocks can decide, if that is known."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.analysis import ledgered
from vbench.config.schema import Config, from_plain
from vbench.record.files import read_trial
from vbench.run import expected_end

NOW = datetime.fromisoformat("2026-01-02T10:00:00+00:00")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs with a sweep of two arms in three blocks, in which each trial took half an hour."""
    outputs = tmp_path_factory.mktemp("outputs")
    ledgered.outputs_with_sweep(outputs, blocks=3)
    return outputs


def configs(outputs: Path) -> list[Config]:
    return [from_plain(read_trial(outputs / "sweeps" / "s" / number).config) for number in "01"]


def test_the_end_comes_from_earlier_trials_of_the_same_configurations(outputs: Path) -> None:
    end, power = expected_end.lines(outputs / "sweeps" / "new", configs(outputs) * 5, 5, NOW)
    assert end == "Expected to take about 5.0 h, until 15:00: from 6 earlier trials of these configurations"
    assert power.startswith("By the spread of s, blocks=")
    assert power.endswith(
        "would find a difference of 5% and show equivalence within ±5%, each with 80% power; this sweep has 5"
    )
    (tomorrow, _) = expected_end.lines(outputs / "sweeps" / "new", configs(outputs) * 30, 30, NOW)
    assert "until 2026-01-03 16:00" in tomorrow


def test_a_sweep_that_stops_when_it_is_decided_has_two_ends(outputs: Path) -> None:
    end, power = expected_end.lines(outputs / "sweeps" / "new", configs(outputs) * 3, 12, NOW, further=18)
    assert end == (
        "Expected to take about 3.0 h, until 13:00 to the next look, and about 12.0 h if no look decides:"
        " from 6 earlier trials of these configurations"
    )
    assert power.endswith("this sweep has at most 12")


def test_a_configuration_that_was_not_measured_takes_as_long_as_the_others(outputs: Path) -> None:
    known = configs(outputs)[0]
    other = replace(known, load=replace(known.load, requests=known.load.requests + 1))
    (end,) = expected_end.lines(outputs / "sweeps" / "new", [known, other], 1, NOW)
    assert "about 1.0 h, until 11:00" in end
    assert end.endswith("of 1 of its 2 configurations")


def test_nothing_is_said_about_what_is_unknown(outputs: Path, tmp_path: Path) -> None:
    known = configs(outputs)[0]
    other = replace(known, load=replace(known.load, requests=known.load.requests + 1))
    assert expected_end.lines(outputs / "sweeps" / "new", [other], 1, NOW) == []
    assert expected_end.lines(outputs / "sweeps" / "new", [], 1, NOW) == []
    elsewhere = replace(known, outputs=str(tmp_path))
    assert expected_end.lines(tmp_path / "a" / "b" / "c" / "d", [elsewhere], 1, NOW) == []


def test_a_sweep_that_is_resumed_is_no_earlier_one(outputs: Path) -> None:
    assert expected_end.lines(outputs / "sweeps" / "s", configs(outputs), 3, NOW) == []


def test_an_earlier_sweep_that_cannot_be_compared_stops_nothing(tmp_path: Path) -> None:
    folder = ledgered.outputs_with_sweep(tmp_path, blocks=2)
    known = [from_plain(read_trial(folder / number).config) for number in "01"]
    (folder / "sweep.json").write_text("{")
    assert len(expected_end.lines(tmp_path / "sweeps" / "new", known, 2, NOW)) == 1
