"""The links of an emulated cluster are checked again after the trial, and what was changed is found.

Real hosts and links; in Ray's place a program listens where Ray would, so that nothing else takes time.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.interfere import halve_what_it_receives, lift_flow_caps
from tests.support.waiting import until
from vbench.clusters.emulated import control
from vbench.clusters.emulated.topology import OBJECT_MANAGER_PORT, Host, Spec
from vbench.linux import procfs
from vbench.linux.guard import supervised
from vbench.linux.nics import namespace
from vbench.ray_internals.node import STARTED_LINE
from vbench.record.network import Link, LinkCheck, LinkEvent, LinkSample
from vbench.validity.links_during import AFTER_TOLERANCE

pytestmark = pytest.mark.slow

ANSWER_S = 60.0

SAMPLED_S = 2.0
"""Sampling in this process takes less."""

STAND_IN = f"""
import os, signal, socket, sys
# A child of its own session too: all that Ray starts must be gone before the links are checked.
os.fork() or os.setsid()
listening = socket.socket()
# As Ray's server: connections of the check may still be on their way out when it binds.
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listening.bind((sys.argv[1], {OBJECT_MANAGER_PORT}))
listening.listen()
print({STARTED_LINE!r}, flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class Running:
    folder: Path
    init: int
    hosts: list[int]
    """In the order of the configuration."""

    def check(self) -> list[LinkCheck]:
        reply = control.request(self.folder, control.CHECK_LINKS, ANSWER_S)
        assert "error" not in reply, reply
        return [LinkCheck(**check) for check in reply["checks"]]

    def sample(self) -> dict[str, LinkSample]:
        from vbench.telemetry.link_queues import watching

        hosts = dict(zip("ab", self.hosts, strict=True))
        with watching(hosts, switch=self.init) as links:
            return links.sample()


LINK = Link(node="a", nic_mbps=25, flow_mbps=10)


@pytest.fixture
def running() -> Iterator[Running]:
    with started() as cluster:
        yield cluster


@contextmanager
def started(*events: LinkEvent) -> Iterator[Running]:
    folder = Path(tempfile.mkdtemp(prefix="vt", dir="/tmp"))
    folder.rmdir()  # the guard makes it, and takes it away
    hosts = tuple(
        Host(
            name=name,
            ip=f"10.77.0.{number}",
            nic_mbps=LINK.nic_mbps,
            flow_mbps=LINK.flow_mbps,
            shm_mb=1,
            command=(sys.executable, "-c", STAND_IN, f"10.77.0.{number}"),
        )
        for number, name in enumerate("ab", start=1)
    )
    spec = Spec(
        folder=str(folder),
        hosts=hosts,
        scale=1,
        congestion_control="cubic",
        timeout_s=ANSWER_S,
        events=events,
    )
    command = [sys.executable, "-m", "vbench.clusters.emulated.init", spec.to_json()]
    read, write = os.pipe()
    with (
        os.fdopen(read) as lines,
        supervised(command, env=dict(os.environ), folders=[folder], stdout=write, grace_s=0) as guard,
    ):
        os.close(write)
        events = (json.loads(line) for line in lines)
        ready = next(event for event in events if event["event"] != "progress")
        assert ready["event"] == "ready", ready
        forked = sorted(pid for pid in guard.pids() if "vbench.clusters.emulated.init" in procfs.command(pid))
        spaces = {pid: namespace(pid) for pid in forked}
        init = next(pid for pid in forked if procfs.innermost_pid(pid) == 1)
        yield Running(folder, init, [pid for pid in forked if spaces[pid] != spaces[init] and pid > init])


def test_links_that_nobody_changed_have_their_rates_after_whatever_ran_is_ended(running: Running) -> None:
    look = running.sample()
    for name in "ab":
        assert (look[name].out_mbps, look[name].in_mbps) == (LINK.nic_mbps, LINK.nic_mbps)
    checks = running.check()
    assert {check.flows for check in checks} == {1, 3}
    assert all(check.error <= AFTER_TOLERANCE for check in checks), checks


def test_rates_change_at_the_planned_times_and_are_checked_as_they_are_in_the_end() -> None:
    planned = (
        LinkEvent(node="a", at_s=0.2, nic_mbps=12.5, flow_mbps=None),
        LinkEvent(node="b", at_s=0.4, nic_mbps=None, flow_mbps=6.25),
        LinkEvent(node="b", at_s=1000, nic_mbps=6.25, flow_mbps=None),
    )
    with started(*planned) as running:
        before = running.sample()
        assert (before["a"].out_mbps, before["b"].flow_most_mbps) == (LINK.nic_mbps, LINK.flow_mbps)
        began_s = time.monotonic()
        assert control.request(running.folder, control.BEGIN_EVENTS, ANSWER_S, at_s=began_s) == {}
        until(lambda: running.sample()["b"].flow_most_mbps == 6.25, "the second event is in force")
        assert time.monotonic() - began_s < 0.4 + 1 + SAMPLED_S
        look = running.sample()
        assert (look["a"].out_mbps, look["a"].in_mbps, look["a"].flow_most_mbps) == (
            12.5,
            12.5,
            LINK.flow_mbps,
        )
        assert (look["b"].out_mbps, look["b"].in_mbps, look["b"].flow_least_mbps) == (25, 25, 6.25)
        reply = control.request(running.folder, control.CHECK_LINKS, ANSWER_S)
    first, second, never = (LinkEvent(**event) for event in reply["events"])
    for event, at_s in ((first, 0.2), (second, 0.4)):
        assert event.in_force_s is not None
        assert at_s <= event.in_force_s < at_s + 1
        assert event.began_s is not None
        assert event.ended_s == pytest.approx(began_s + event.in_force_s)
        assert event.began_s <= event.ended_s
    assert never == planned[2]
    checks = [LinkCheck(**check) for check in reply["checks"]]
    assert all(check.error <= AFTER_TOLERANCE for check in checks), checks
    assert {(check.sender, check.flows): check.expected_mbps for check in checks} == {
        ("a", 1): 10,
        ("b", 1): 6.25,
        ("a", 2): 12.5,
        ("b", 2): 12.5,
    }


def test_flow_caps_that_were_lifted_and_a_nic_that_was_halved_are_found(running: Running) -> None:
    lift_flow_caps(running.hosts[0], 20)
    halve_what_it_receives(running.init, 0, LINK.nic_mbps)
    look = running.sample()
    assert (look["a"].flow_least_mbps, look["a"].flow_most_mbps) == (20, 20)
    assert look["a"].in_mbps == LINK.nic_mbps / 2
    assert (look["b"].flow_most_mbps, look["b"].in_mbps) == (LINK.flow_mbps, LINK.nic_mbps)
    off = {(check.sender, check.flows) for check in running.check() if check.error > AFTER_TOLERANCE}
    assert {("a", 1), ("b", 3)} <= off
