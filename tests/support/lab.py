"""Emulated hosts without Ray: transfers between them, and what the kernel saw of these.

A test calls ``transfers``; this file, run as a program, is then PID 1 among the hosts.
"""

import json
import os
import select
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vbench.clusters.emulated import link_check
from vbench.clusters.emulated.host import RunningHost, fork_host
from vbench.clusters.emulated.topology import Host, Spec
from vbench.linux import namespaces
from vbench.record.network import LinkCheck, LinkSample
from vbench.telemetry.link_idle import LinkIdle, wait_until_idle

DEADLINE_S = 120
ANSWER_S = 30.0
LOOK_S = 0.05

Transfer = tuple[str, str, int]
"""Sender, receiver and connections at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One round of transfers at the same time."""

    mbps: dict[str, float]
    """What each receiver got."""
    congestion: dict[str, str]
    """As each receiver's sockets name it."""
    before: list[dict[str, LinkSample]]
    """Two looks at the queues by host, with nothing to send in between."""
    during: list[dict[str, LinkSample]]
    classes_bytes: dict[str, dict[int, int]]
    """Host -> class of its NIC -> bytes it has carried since the host is there."""
    idle: LinkIdle | None
    """From the transfers' beginning until the links were found idle; None if nobody waited."""


def host(name: str, number: int, *, flow_mbps: float, nic_mbps: float) -> Host:
    return Host(name=name, ip=f"10.77.0.{number}", nic_mbps=nic_mbps, flow_mbps=flow_mbps, shm_mb=1)


def transfers(
    folder: Path,
    hosts: Sequence[Host],
    rounds: Sequence[Sequence[Transfer]],
    congestion: str = "cubic",
    idle_within_s: float | None = None,
) -> list[Seen]:
    """Bring the hosts up, run one round after the other, end all of it; AssertionError with what it printed
    if the links are not idle ``idle_within_s`` after a round's transfers began."""
    spec = Spec(
        folder=str(folder), hosts=tuple(hosts), scale=1, congestion_control=congestion, timeout_s=ANSWER_S
    )
    command = [sys.executable, __file__, spec.to_json(), json.dumps(rounds), json.dumps(idle_within_s)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    return [_seen(json.loads(line)) for line in done.stdout.splitlines()]


def _seen(data: dict[str, Any]) -> Seen:
    for key in ("before", "during"):
        looks: list[dict[str, dict[str, int]]] = data.pop(key)
        data[key] = [{name: LinkSample(**queue) for name, queue in look.items()} for look in looks]
    data["classes_bytes"] = {
        name: {int(handle): count for handle, count in classes.items()}
        for name, classes in data["classes_bytes"].items()
    }
    data["idle"] = LinkIdle(**data["idle"]) if data["idle"] else None
    return Seen(**data)


def checked(sender: Host, receiver: Host, flows: int, seen: Seen) -> LinkCheck:
    """As the cluster itself judges a transfer."""
    return LinkCheck(
        sender=sender.name,
        receiver=receiver.name,
        flows=flows,
        expected_mbps=link_check.expected_mbps(sender, receiver, flows),
        measured_mbps=seen.mbps[receiver.name],
    )


def main() -> int:
    spec = Spec.from_json(sys.argv[1])
    rounds: list[list[Transfer]] = [
        [(str(sender), str(receiver), int(flows)) for sender, receiver, flows in transfers]
        for transfers in json.loads(sys.argv[2])
    ]
    namespaces.new_root(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWNET | namespaces.CLONE_NEWPID)
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    namespaces.die_with_parent()
    namespaces.private_mounts()
    namespaces.mount_proc()
    hosts = {host.name: fork_host(spec, host) for host in spec.hosts}
    _all(hosts, "unshare")
    # After the forks, as init does it.
    from vbench.clusters.emulated.shaping import make_switch, plug_in

    make_switch()
    for index, running in enumerate(hosts.values()):
        plug_in(index, running.host, running.pid)
    _all(hosts, "configure")
    _all(hosts, "listen")
    for wanted in rounds:
        print(json.dumps(asdict(_round(hosts, wanted, json.loads(sys.argv[3])))), flush=True)
    return 0


def _all(hosts: dict[str, RunningHost], do: str) -> None:
    for running in hosts.values():
        running.send(do)
    for running in hosts.values():
        running.receive(ANSWER_S)


def _round(hosts: dict[str, RunningHost], wanted: Sequence[Transfer], idle_within_s: float | None) -> Seen:
    from vbench.telemetry.link_queues import watching

    peers = {sender: (receiver, flows) for sender, receiver, flows in wanted}
    incoming = {name: sum(flows for _, receiver, flows in wanted if receiver == name) for name in hosts}
    busy = [name for name in hosts if name in peers or incoming[name]]
    with watching({name: running.pid for name, running in hosts.items()}, switch=os.getpid()) as links:
        before = [links.sample(), links.sample()]
        for name in busy:
            peer, flows = peers.get(name, (None, 0))
            ip = hosts[peer].host.ip if peer else None
            hosts[name].send("check", peer=ip, flows=flows, incoming=incoming[name])
        during: list[dict[str, LinkSample]] = []
        idle: LinkIdle | None = None
        channels = [hosts[name].channel for name in busy]
        while len(select.select(channels, [], [], LOOK_S)[0]) < len(busy):
            during.append(links.sample())
            if idle_within_s is not None and len(during) == 1:
                idle = wait_until_idle(
                    [running.host.link for running in hosts.values()],
                    {name: running.pid for name, running in hosts.items()},
                    idle_within_s,
                )
    answers = {name: hosts[name].receive(ANSWER_S) for name in busy}
    return Seen(
        mbps={name: answers[name][0] for name in busy if incoming[name]},
        congestion={name: answers[name][1] for name in busy if incoming[name]},
        before=before,
        during=during,
        classes_bytes={name: _classes(running.pid) for name, running in hosts.items()},
        idle=idle,
    )


def _classes(pid: int) -> dict[int, int]:
    from pyroute2 import IPRoute

    from vbench.clusters.emulated.shaping import NIC

    with namespaces.network_of(pid), IPRoute() as ip:
        (nic,) = ip.link_lookup(ifname=NIC)
        return {
            one["handle"]: one.get_nested("TCA_STATS2", "TCA_STATS_BASIC")["bytes"]
            for one in ip.get_classes(index=nic)
        }


if __name__ == "__main__":
    # PID 1 of the hosts' namespace: when it leaves, the kernel ends them all.
    status = 1
    try:
        status = main()
    except Exception:  # noqa: BLE001 - whatever it is, whoever reads the output must see it
        # PID 1 leaves before Python would print it.
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if os.getpid() == 1:
            os._exit(status)
    sys.exit(status)
