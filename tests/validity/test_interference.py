"""Real trials that something outside interferes with: each is invalid, by rules that name what was done."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.emulated import TRANSFER, processes
from tests.support.interfere import halve_what_it_receives, lift_flow_caps
from tests.support.quota import cpu_quota, joining
from tests.support.runs import SCENE, SMALL, Wait, Workplace, below
from tests.support.waiting import came_true, until
from vbench.linux import procfs
from vbench.record.files import read_requests, read_spans, read_trial
from vbench.record.load_report import Graph
from vbench.record.trial import Rule, Trial

pytestmark = pytest.mark.slow

STOPPED_S = 3.0
BOUND_MS = 2000

LOAD = ["-m", "vbench.load", "drive"]


def broken(workplace: Workplace) -> dict[str, Rule]:
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    assert trial.status == "finished", trial.error
    assert not trial.valid
    return {rule.name: rule for rule in trial.broken}


@pytest.mark.long
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be bound to fewer")
def test_fewer_cpus_a_preloaded_library_and_stopped_processes(workplace: Workplace, wait_for: Wait) -> None:
    """``taskset``, ``LD_PRELOAD``, and SIGSTOP of the load process and of a decoder while requests run."""
    library = next(Path("/lib").rglob("libm.so.6"))
    taskset = shutil.which("taskset")
    assert taskset is not None
    run = workplace.start(
        *(*SMALL, *SCENE, "tracking=off", "load.requests=6", f"load.max_stall_ms={BOUND_MS}"),
        enter=(taskset, "-c", str(min(os.sched_getaffinity(0)))),
        LD_PRELOAD=str(library),
    )
    wait_for(run, "requests  0/6")
    ours = below(run.pid)
    (load,) = [pid for pid in ours if procfs.command(pid)[1:4] == LOAD]
    decoder = next(pid for pid in ours if "VideoDecoder" in " ".join(procfs.command(pid)))
    for pid in (load, decoder):
        os.kill(pid, signal.SIGSTOP)
    came_true(lambda: run.poll() is not None, STOPPED_S)
    for pid in (load, decoder):
        os.kill(pid, signal.SIGCONT)
    output, _ = run.communicate(timeout=240)
    assert run.returncode == 1, output
    found = broken(workplace)
    cpus = found[CPUS]
    assert "raylet of head can use 1 (by its affinity: " in cpus.observed
    assert f"LD_PRELOAD={library} is set for harness" in cpus.observed
    assert "unset LD_PRELOAD" in cpus.remedy
    stalled = found["nothing stalled"]
    # A node's samples wait for whoever is stopped on it, and may stand still for longer than the client.
    named = re.search(r"(\d+) ms \(client\)|client (\d+) ms", stalled.observed)
    assert named is not None, stalled.observed
    assert float(named[1] or named[2]) >= 1000 * STOPPED_S
    assert "limit 2000 ms" in stalled.observed
    assert "stopped by a signal or a debugger: " in stalled.observed
    assert f"({load})" in stalled.observed
    assert f"({decoder})" in stalled.observed


CPUS = "the trial had the configured CPUs"

TOGETHER = (
    *SMALL,
    *SCENE,
    "tracking=off",
    "load.requests=6",
    # Both on the machine's own loopback, where each could reach the other's service.
    "cluster.private_network=false",
    "cluster.start_timeout_s=180",
    "cluster.deploy_timeout_s=240",
)


@pytest.mark.long
def test_two_trials_at_once_have_answers_of_their_own_and_one_under_a_quota_says_so(
    workplace: Workplace,
) -> None:
    """In one outputs folder. The second gets three quarters of the CPUs, if we may make a group here.

    A machine that is too slow for two may have Ray give up on one of them, which then says so.
    """
    cpus = 0.75 * len(os.sched_getaffinity(0))
    with cpu_quota(cpus) as group:
        runs = [
            workplace.start(*TOGETHER, "label=free"),
            workplace.start(*TOGETHER, "label=bound", enter=joining(group) if group else ()),
        ]
        outputs = [run.communicate(timeout=280)[0] for run in runs]
    trials = {trial.config["label"]: trial for trial in map(read_trial, workplace.trials())}
    assert trials.keys() == {"free", "bound"}, outputs
    finished = [trial for trial in trials.values() if trial.status == "finished"]
    assert finished, outputs
    graphs = [with_answers_of_its_own(trial) for trial in finished]
    assert len({graph.deployment_id for graph in graphs}) == len(graphs)
    placed = [one.replica for graph in graphs for one in graph.replicas_before]
    assert len(set(placed)) == len(placed)
    for label, trial in trials.items():
        expected = {CPUS} if label == "bound" and group else set()
        if trial in finished:
            assert {rule.name for rule in trial.broken} == expected, [rule.line for rule in trial.broken]
        else:
            assert trial.error
            assert not trial.valid
    if group and trials["bound"] in finished:
        (rule,) = trials["bound"].broken
        assert f"raylet of head can use {cpus:g} (by its control group's quota) of " in rule.observed


def with_answers_of_its_own(trial: Trial) -> Graph:
    """The trial's graph, which alone did its work."""
    assert trial.load_report is not None
    graph = trial.load_report.graph
    assert graph is not None
    folder = Path(trial.folder)
    requests = read_requests(folder)
    placed = {one.replica for one in graph.replicas_before}
    assert {one.deployment_id for each in requests for one in each.replicas} == {graph.deployment_id}
    assert {one.replica for each in requests for one in each.replicas} <= placed
    assert {span.replica for span in read_spans(folder)} <= placed
    assert [one.own for one in graph.listeners] == [True]
    return graph


HEAD, GPU, CHUNK1, _, DECODE = range(5)
"""Hosts in the order in which they are forked."""

RECEIVE = """
import socket
server = socket.create_server(("10.77.0.3", 9999))
print("up", flush=True)
connection, _ = server.accept()
while connection.recv(1 << 20):
    pass
"""
SEND = """
import socket, time
connection = socket.create_connection(("10.77.0.3", 9999))
ends_s = time.monotonic() + 8
while time.monotonic() < ends_s:
    connection.sendall(bytes(1 << 16))
"""


def on_host(pid: int, code: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "vbench.clusters.emulated.nsenter", str(pid), sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.long
def test_other_rates_and_other_traffic_on_the_links(workplace: Workplace, wait_for: Wait) -> None:
    """After the links were checked, flow caps are lifted, a NIC's rate is halved, and somebody else sends."""
    run = workplace.start(*TRANSFER, "load.requests=5", "load.objects=3")
    wait_for(run, "requests  0/5")
    there = processes(run.pid)
    assert there.init is not None
    hosts: Sequence[int] = sorted(there.hosts)
    lift_flow_caps(hosts[DECODE], 60)
    halve_what_it_receives(there.init, GPU, 125)
    with on_host(hosts[CHUNK1], RECEIVE) as receiver:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "up\n"
        with on_host(hosts[HEAD], SEND):
            output, _ = run.communicate(timeout=280)
    assert run.returncode == 1, output
    until(lambda: not workplace.left(), "nothing is left")
    found = broken(workplace)
    rates = found["the kernel kept the links' rates"]
    assert "receives at up to 62.5 Mbit/s instead of 125" in rates.observed or (
        "decode has a flow class of 60 Mbit/s instead of 25" in rates.observed
    )
    flows = found["no flow carried more than its cap"]
    assert " of decode " in flows.observed
    sent = found["nothing else used the links"]
    assert "head sent" in sent.observed or "chunk1 received" in sent.observed
    after = found["the links had their rates after the trial"]
    assert "chunk1+chunk2 to gpu" in after.observed, "the only pair that fills the NIC that was halved"
