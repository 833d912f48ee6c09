"""A record's verdict can be had again from its files."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.support import records
from tests.validity import honest
from vbench.cli.revalidate import main
from vbench.record import files
from vbench.record.measurements import Measurements
from vbench.validity import rules
from vbench.validity.revalidation import judged


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The record of a trial that kept all rules."""
    record = honest.record(requests=2, concurrency=1)
    requests, spans = record.requests, record.spans
    nodes = [records.sample(100.0), records.sample(101.0)]
    machines = [records.machine(100.0), records.machine(101.0)]
    measured = Measurements(requests=requests, spans=spans, nodes=nodes, machines=machines)
    found = rules.judge(record.config, record.load_report, measured)
    assert all(rule.passed for rule in found)
    trial = records.trial(
        config=asdict(record.config), load_report=record.load_report, rules=found, clip=None
    )
    files.write_json(tmp_path / files.TRIAL, trial)
    files.write_lines(tmp_path / files.SPANS, spans)
    files.write_lines(tmp_path / files.REQUESTS, requests)
    files.write_lines(tmp_path / files.NODES, nodes)
    files.write_lines(tmp_path / files.MACHINES, machines)
    return tmp_path


def test_a_verdict_comes_out_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = files.read_trial(folder)
    assert judged(folder, trial) == trial.rules
    assert main([str(folder), "--all"]) == 0
    assert "recorded: valid  now: valid" in capsys.readouterr().out


def test_a_verdict_that_would_be_another_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = files.read_requests(folder)
    late = replace(second, sent_s=second.scheduled_s + 1.0, done_s=second.done_s + 1.0)
    files.write_lines(folder / files.REQUESTS, [first, late])
    assert main([str(folder)]) == 1
    shown = capsys.readouterr().out
    assert "recorded: valid  now: INVALID" in shown
    assert "the client was on time" in shown


def test_bounds_that_were_loosened_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = files.read_trial(folder)
    load = {**trial.config["load"], "max_foreign_cpu_percent": 50.0}
    files.write_json(folder / files.TRIAL, replace(trial, config={**trial.config, "load": load}))
    assert main([str(folder)]) == 0
    assert "loosened: load.max_foreign_cpu_percent=50 (shipped: 5)" in capsys.readouterr().out


def test_approximate_frames_and_random_weights_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = files.read_trial(folder)
    model = {**trial.config["model"], "weights": "random"}
    files.write_json(folder / files.TRIAL, replace(trial, config={**trial.config, "model": model}))
    main([str(folder)])
    assert "RANDOM WEIGHTS" in capsys.readouterr().out


def test_a_folder_without_a_record_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "there is no trial in" in capsys.readouterr().err
