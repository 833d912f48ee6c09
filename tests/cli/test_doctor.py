"""The doctor and the trial say the same of a machine: what an emulated cluster lacks, and what to do."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.emulated import EMULATED
from tests.support.runs import ORDINARY, Workplace, ran
from vbench.clusters.emulated.requirements import check_requirements

FORBIDDEN = """
import os, sys
from pathlib import Path
from vbench.linux.namespaces import new_root
new_root(0)
for kind in ("user", "net", "mnt", "pid"):
    Path(f"/proc/sys/user/max_{kind}_namespaces").write_text("0")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Runs Python where nobody may make namespaces, as on a machine whose administrator forbids it."""


def forbidden(workplace: Workplace, *arguments: str) -> tuple[int, str]:
    return ran(workplace.folder, workplace.temp, "-c", FORBIDDEN, "-m", *arguments)


def only_line(output: str) -> str:
    """The one that says why."""
    assert "Traceback" not in output
    lines = [line for line in output.splitlines() if line.startswith("vbench: ")]
    assert len(lines) == 1, output
    return lines[0]


def nothing_started(workplace: Workplace, output: str) -> None:
    assert "creating hosts" not in output
    assert not list(workplace.folder.rglob("ray.log"))
    assert workplace.left() == []


def test_what_is_needed_is_here(workplace: Workplace) -> None:
    small = [override for override in EMULATED if override.startswith("cluster.")]
    status, output = workplace.run("doctor", *small)
    assert status == 0, output
    assert "cluster=emulated can run here" in output
    assert " NO " not in output
    for name in ("FFmpeg", "CPUs", "free memory", "HTB queues", "nftables", "congestion control cubic"):
        assert name in output
    assert workplace.left() == []


def test_every_need_is_tried_and_says_what_to_do() -> None:
    found = check_requirements("cubic")
    assert all(requirement.is_met for requirement in found), found
    assert all(requirement.observed and requirement.remedy for requirement in found)


def test_a_congestion_control_that_the_kernel_lacks_is_named(workplace: Workplace) -> None:
    asked = "cluster.congestion_control=carrier-pigeon"
    status, output = workplace.run("doctor", asked)
    assert status == 1, output
    assert "TCP congestion control carrier-pigeon: set cluster.congestion_control to one of: " in output
    assert "cubic" in output
    assert "cluster=emulated cannot run here" in output

    status, output = workplace.run(*EMULATED, asked)
    assert status == 2, output
    line = only_line(output)
    assert "TCP congestion control carrier-pigeon: this kernel has " in line
    assert "set cluster.congestion_control to one of: " in line
    assert "or load it into the kernel (modprobe tcp_carrier-pigeon)" in line
    nothing_started(workplace, output)


def test_a_kernel_module_that_is_not_there_is_named(workplace: Workplace) -> None:
    tried = """
from vbench.linux.namespaces import CLONE_NEWNET, new_root
from vbench.clusters.emulated.requirements import queueing
new_root(CLONE_NEWNET)
for requirement in (queueing("htb", default=1), queueing("pigeon")):
    print(requirement.is_met, requirement.name, requirement.remedy, sep="; ")
"""
    status, output = ran(workplace.folder, workplace.temp, "-c", tried)
    assert status == 0, output
    there, missing = output.splitlines()
    assert there.startswith("True; HTB queues; ")
    assert missing == (
        "False; PIGEON queues; load the kernel's bridge and sch_pigeon (modprobe -a bridge sch_pigeon),"
        " or use a kernel that has them"
    )


def test_forbidden_namespaces_are_named_by_the_doctor_and_before_a_trial(workplace: Workplace) -> None:
    status, output = forbidden(workplace, "vbench", "doctor")
    assert status == 1, output
    assert "user, network, mount and PID namespaces: allow user namespaces (sysctl " in output
    assert "cluster=emulated cannot run here" in output

    status, output = forbidden(workplace, "vbench", *EMULATED)
    assert status == 2, output
    line = only_line(output)
    assert "cluster=emulated cannot run here: user, network, mount and PID namespaces: unshare: " in line
    assert "allow user namespaces (sysctl user.max_user_namespaces above 0" in line
    assert "vbench doctor" in line
    nothing_started(workplace, output)


def test_more_memory_than_there_is_is_refused(workplace: Workplace) -> None:
    asked = "cluster.nodes.gpu.object_store_mb=900000"
    status, output = workplace.run(*EMULATED, asked)
    assert status == 2, output
    line = only_line(output)
    needed = "5 nodes need up to 903300 MB (900800 MB of object stores and 500 MB per node)"
    remedy = "stop other programs, lower cluster.nodes.*.object_store_mb, or use fewer nodes"
    assert f"free memory: {needed}; " in line
    assert remedy in line
    nothing_started(workplace, output)
    status, output = workplace.run("doctor", asked)
    assert status == 1, output
    assert f"free memory: {remedy}" in output


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be bound to fewer")
def test_fewer_cpus_than_the_machine_has_are_refused_by_doctor_and_trial(workplace: Workplace) -> None:
    bound = "import os, runpy, sys; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); del sys.argv[0];"
    bound += "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    remedy = "remove the limit (taskset, or a container's quota)"
    status, output = ran(workplace.folder, workplace.temp, "-c", bound, "vbench", "doctor")
    assert status == 1, output
    assert f"all CPUs of the machine: {remedy}" in output
    status, output = ran(workplace.folder, workplace.temp, "-c", bound, "vbench", *EMULATED)
    assert status == 2, output
    line = only_line(output)
    assert "cluster=emulated cannot run here: all CPUs of the machine: this process may use 1 of " in line
    assert remedy in line
    nothing_started(workplace, output)


def test_a_value_that_is_wrong_is_the_doctors_to_refuse_too(workplace: Workplace) -> None:
    status, output = workplace.run("doctor", "cluster.scale=0")
    assert status == 2
    assert "cluster.scale=0" in only_line(output)


@pytest.mark.parametrize("given", ["cluster.scale=50,100", "runtime=oss,anyscale", "blocks=3"])
def test_the_doctor_advises_no_sweep_which_it_cannot_run(workplace: Workplace, given: str) -> None:
    status, output = workplace.run("doctor", given)
    assert status == 2
    assert "--multirun" not in only_line(output)
    assert given in only_line(output)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run something as another user")
def test_an_ordinary_user_has_all_that_is_needed(nobodys: tuple[Path, Path]) -> None:
    """A whole trial as nobody: test_transfer_run."""
    folder, temp = nobodys
    command = (str(ORDINARY), sys.executable, "-m", "vbench", "doctor")
    status, output = ran(folder, temp, *command, HOME=str(folder))
    assert status == 0, output
    assert list(temp.iterdir()) == []
