"""A real trial whose own processes are slowed down, or slow the others down, for a time: it is invalid."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.emulated import SCALE, TRANSFER
from tests.support.quota import cpu_quota
from tests.support.runs import SCENE, SMALL, Wait, Workplace, below
from tests.support.waiting import until
from vbench.linux import procfs
from vbench.record.files import read_machines, read_trial

pytestmark = pytest.mark.slow

SABOTAGE = Path(__file__).with_name("sabotage")

CPUS = "the trial had the configured CPUs"
SLOWLY_SAMPLED = tuple(one for one in SMALL if not one.startswith("load.sample_period_s="))
"""Once a second, as by default: frequent samples take the load process a part of a core."""

HELD_S = 2.5

OWN = "harness and Ray left the CPUs to the service"


@pytest.mark.long
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be bound to fewer")
def test_bounds_that_come_and_go_and_threads_that_spin(workplace: Workplace, wait_for: Wait) -> None:
    """A decoder has one CPU for a while, the raylet half of one, and the load process spins."""
    chosen = workplace.folder / "chosen"
    chosen.write_text("spinning")
    run = workplace.start(
        *(*SLOWLY_SAMPLED, *SCENE, "tracking=off", "load.requests=12"),
        **_sabotaged(chosen),
    )
    wait_for(run, "requests  0/12")
    ours = below(run.pid)
    decoder = _one(ours, lambda command: "VideoDecoder" in command[0])
    raylet = _one(ours, lambda command: Path(command[0]).name == "raylet")
    every = os.sched_getaffinity(decoder)
    with cpu_quota(0.5) as group:
        os.sched_setaffinity(decoder, {min(every)})
        if group is not None:
            (group / "cgroup.procs").write_text(str(raylet))
        _sampled(run.poll)
        os.sched_setaffinity(decoder, every)
        if group is not None:
            (group.parent / "cgroup.procs").write_text(str(raylet))
    output, _ = run.communicate(timeout=240)
    assert run.returncode == 1, output
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    found = {rule.name: rule.observed for rule in trial.broken}
    assert f"affinity of VideoDecoder (process {decoder}) was CPUs " in found[CPUS]
    if group is not None:
        assert f"quota of raylets (process {raylet}) was none, then 0.5 CPUs" in found[CPUS]
    assert "the load process used " in found[OWN]
    assert trial.metrics["cpu_load_process_s"] > trial.metrics["cpu_GCS_s"]
    last = read_machines(folder)[-1]
    assert last.bounds is not None
    assert last.bounds.changed == (), "the bounds were lifted before the end"


@pytest.mark.long
def test_a_plan_at_half_the_scale_is_not_the_one_that_was_configured(workplace: Workplace) -> None:
    """The harness's own process makes it, and changes its configuration too."""
    chosen = workplace.folder / "chosen"
    chosen.write_text("scale_halved")
    status, output = workplace.run(*(*TRANSFER, "load.requests=2"), **_sabotaged(chosen))
    assert status == 1, output
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    found = {rule.name: rule.observed for rule in trial.broken}
    assert trial.config["cluster"]["scale"] == SCALE
    assert "Mbit/s instead of the configured " in found["the links are those of the configuration"]


def _sabotaged(chosen: Path) -> dict[str, str]:
    """Environment of a run whose processes are changed as the module that is named in ``chosen`` says."""
    path = os.pathsep.join(filter(None, [str(SABOTAGE), os.environ.get("PYTHONPATH", "")]))
    return {"PYTHONPATH": path, "VBENCH_SABOTAGE": str(chosen)}


def _one(pids: list[int], wanted: Callable[[list[str]], bool]) -> int:
    return next(pid for pid in pids if (command := procfs.command(pid)) and wanted(command))


def _sampled(ended: Callable[[], int | None]) -> None:
    """Wait for as long as a few samples take."""
    began = os.times().elapsed
    until(lambda: ended() is not None or os.times().elapsed - began > HELD_S, "samples were taken")
