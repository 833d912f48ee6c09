"""What the watchers saw is read back from a record as it was written."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.support import records
from tests.validity import parts
from vbench.record.files import (
    MACHINES,
    NODES,
    TRIAL,
    read_machines,
    read_samples,
    read_trial,
    write_json,
    write_lines,
)
from vbench.record.network import LinkCheck
from vbench.record.samples import GpuSample


def test_a_trial_with_all_its_watchers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "config", lambda *_: parts.config())
    check = LinkCheck(sender="a", receiver="b", flows=1, expected_mbps=20, measured_mbps=19)
    trial = records.trial(
        config=asdict(parts.config()),
        load_report=parts.load_report(),
        harness=parts.harness(),
        loosened=("load.max_late_ms=9 (shipped: 5)",),
        network=replace(records.network("a", "b"), checks_after=[check]),
    )
    write_json(tmp_path / TRIAL, trial)
    assert read_trial(tmp_path) == replace(trial, folder=str(tmp_path))


def test_samples_with_all_their_fields(tmp_path: Path) -> None:
    link = replace(
        records.queues(),
        out_mbps=80.0,
        in_mbps=80.0,
        flow_least_mbps=20.0,
        flow_most_mbps=20.0,
        flow_classes=320,
        flows={"11000": (2_000_000, 5)},
    )
    gpu = GpuSample(
        gpu=0,
        busy_percent=1,
        memory_used_mb=1,
        energy_j=1,
        sm_mhz=1,
        foreign_percent=3.0,
        foreign_processes=("python (7)",),
    )
    node = records.sample(100.0, link=link)
    machine = records.machine(100.0, stopped=("raylet (7)",), gpus=(gpu,))
    write_lines(tmp_path / NODES, [node])
    write_lines(tmp_path / MACHINES, [machine])
    assert read_samples(tmp_path) == [node]
    assert read_machines(tmp_path) == [machine]
