"""A record's verdict can be had again from its files."""

from dataclasses import replace
from pathlib import Path

import pytest
import records

from vbench import rules, trial_folder
from vbench.judge import judged, main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The record of a trial that kept all rules."""
    config = records.config("load.requests=2", "load.concurrency=1")
    requests = [records.request(0), records.request(1)]
    nodes = [records.sample(100.0), records.sample(101.0)]
    machines = [records.machine(100.0), records.machine(101.0)]
    found = rules.judge(config, records.observed(), requests, nodes, machines, [], None)
    assert all(rule.holds for rule in found)
    plain = records.trial().config | {
        "load": {**records.trial().config["load"], "requests": 2, "concurrency": 1}
    }
    trial_folder.write_json(tmp_path / trial_folder.TRIAL, records.trial(config=plain, rules=found))
    trial_folder.write_lines(tmp_path / trial_folder.REQUESTS, requests)
    trial_folder.write_lines(tmp_path / trial_folder.NODES, nodes)
    trial_folder.write_lines(tmp_path / trial_folder.MACHINES, machines)
    return tmp_path


def test_a_verdict_comes_out_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = trial_folder.read_trial(folder)
    assert judged(folder, trial) == trial.rules
    assert main([str(folder), "--all"]) == 0
    assert "recorded: valid  now: valid" in capsys.readouterr().out


def test_a_verdict_that_would_be_another_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late = replace(records.request(1), sent_s=103.0, done_s=104.0)
    trial_folder.write_lines(folder / trial_folder.REQUESTS, [records.request(0), late])
    assert main([str(folder)]) == 1
    shown = capsys.readouterr().out
    assert "recorded: valid  now: NOT VALID" in shown
    assert "the client was on time" in shown


def test_a_folder_without_a_record_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "holds no trial" in capsys.readouterr().err
