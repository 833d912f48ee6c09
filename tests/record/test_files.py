"""A record is read back as it was written, or refused by name."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support import records
from vbench.record.files import (
    LOAD_REPORT,
    MACHINES,
    NODES,
    REQUESTS,
    TRIAL,
    RecordError,
    read_load_report,
    read_machines,
    read_requests,
    read_samples,
    read_trial,
    write_json,
    write_lines,
)
from vbench.record.load_report import Connections
from vbench.record.samples import GpuSample


def test_a_trial_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    trial = records.trial(folder=str(tmp_path))
    write_json(tmp_path / TRIAL, trial)
    assert read_trial(tmp_path) == trial


def test_a_trial_of_an_emulated_cluster_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    pair = Connections(sender="decode", receiver="gpu", expected=15, established=15, moved_bytes=10**9)
    load_report = records.load_report(connections=[pair])
    network = records.network("decode", "gpu")
    trial = records.trial(folder=str(tmp_path), load_report=load_report, network=network)
    write_json(tmp_path / TRIAL, trial)
    write_json(tmp_path / LOAD_REPORT, load_report)
    assert read_trial(tmp_path) == trial
    assert read_load_report(tmp_path) == load_report


def test_samples_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    shaped = records.sample(101.0, link=records.queues(out_waits=3), connections={"gpu": 2})
    nodes = [records.sample(100.0), shaped]
    gpu = GpuSample(gpu=0, busy_percent=93.0, memory_used_mb=1500.0, energy_j=None, sm_mhz=1980)
    machines = [records.machine(100.0), records.machine(101.0, gpus=(gpu,))]
    write_lines(tmp_path / NODES, nodes)
    write_lines(tmp_path / MACHINES, machines)
    assert read_samples(tmp_path) == nodes
    assert read_machines(tmp_path) == machines


def test_lines_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    requests = [records.request(i) for i in range(3)]
    write_lines(tmp_path / REQUESTS, requests)
    assert read_requests(tmp_path) == requests


def test_a_failed_write_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / TRIAL, records.trial(schema_version=99))
    with pytest.raises(RecordError, match="schema version 99"):
        read_trial(tmp_path)


def test_a_folder_without_a_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="not the folder of a trial"):
        read_trial(tmp_path)
    (tmp_path / TRIAL).write_text('{"half')
    with pytest.raises(RecordError, match="damaged"):
        read_trial(tmp_path)


def test_samples_of_before_that_knew_no_gpu_are_read(tmp_path: Path) -> None:
    node, machine = (asdict(made(100.0)) for made in (records.sample, records.machine))
    del machine["gpus"]
    (tmp_path / NODES).write_text(json.dumps({**node, "gpu_percent": None}) + "\n")
    (tmp_path / MACHINES).write_text(json.dumps(machine) + "\n")
    assert read_samples(tmp_path) == [records.sample(100.0)]
    assert read_machines(tmp_path) == [records.machine(100.0)]
