"""A whole trial of load=transfer, by a user who may do nothing but read the project and write two folders."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.emulated import BETWEEN_ENDS, ENDS
from tests.support.ordinary import NOBODY
from tests.support.runs import ORDINARY, Workplace, ran
from vbench.ray_internals.setting_readers import Role
from vbench.record.files import read_requests, read_spans, read_trial
from vbench.record.transfers import inter_node_transfers
from vbench.telemetry.link_idle import IDLE_S

pytestmark = pytest.mark.slow

CHUNK = "runtime.env.RAY_object_manager_default_chunk_size=1048576"
ARGUMENTS = (*BETWEEN_ENDS, "runtime=single", CHUNK, "load.objects=2", "load.requests=2")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run something as another user")
def test_an_ordinary_users_trial_leaves_the_record_of_a_transfer(
    workplace: Workplace, nobodys: tuple[Path, Path]
) -> None:
    folder, temp = nobodys
    command = (str(ORDINARY), sys.executable, "-m", "vbench", *ARGUMENTS)
    status, output = ran(folder, temp, *command, HOME=str(folder))
    assert status == 0, output
    assert "n = 2 requests of 2 objects of 8 MB, 1 at a time" in output
    (record,) = (folder / "outputs" / "runs").iterdir()
    assert record.stat().st_uid == NOBODY
    _is_of_a_transfer(record)
    assert list(temp.iterdir()) == []
    assert workplace.left() == []


def _is_of_a_transfer(folder: Path) -> None:
    trial = read_trial(folder)
    assert trial.valid
    assert trial.clip is None
    assert trial.load_report is not None
    assert trial.load_report.placement == {"Sender": {"decode": 1}, "Receiver": {"gpu": 1}}
    assert set(trial.load_report.post_run_bytes) == set(ENDS)
    roles = [one.role for one in trial.load_report.settings_found]
    assert (roles.count(Role.RAYLET), roles.count(Role.WORKER)) == (len(trial.config["cluster"]["nodes"]), 2)
    signs = {one.node: one.value for one in trial.load_report.setting_signs}
    assert signs.keys() == trial.config["cluster"]["nodes"].keys()
    (chunk_bytes,) = (value for value in signs.values() if value is not None)
    assert signs["gpu"] == chunk_bytes
    # 8 MB and a little in 8 chunks, the last of each object the smallest.
    assert 10**6 <= chunk_bytes <= 2**20
    assert trial.phases_s["settle"] >= IDLE_S <= trial.phases_s["drain"]
    (way,) = trial.load_report.connections
    assert (way.sender, way.receiver, way.expected, way.established) == ("decode", "gpu", 1, 1)
    assert way.moved_bytes == 3 * 16_000_000
    assert [(r.frames_got, r.frame_bytes) for r in read_requests(folder)] == [(2, 16_000_000)] * 2
    transfers = inter_node_transfers(read_spans(folder))
    assert [(one.sender, one.receiver, one.bytes) for one in transfers] == [("decode", "gpu", 16_000_000)] * 2
    assert [span.node for span in read_spans(folder)] == ["decode", "gpu"] * 2
    # One flow of 25 Mbit/s, headers included, and the time that Ray takes to begin.
    assert 12 < trial.metrics["transfer_mbps"] < 25
    assert "throughput_video_s_per_s" not in trial.metrics
