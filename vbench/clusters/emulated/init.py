"""``python -m vbench.clusters.emulated.init SPEC``: starts an emulated cluster and supervises it.

The first process leaves for new namespaces and becomes the launcher; its child is PID 1 of the new PID
namespace, has the switch, forks the hosts, checks the links, starts Ray on each host, and reports its
progress on standard output, one JSON line per event: ``progress``, ``ready`` or ``failed``.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from vbench.clusters.emulated import control, link_check
from vbench.clusters.emulated.host import HostError, RunningHost, fork_host
from vbench.clusters.emulated.topology import Spec
from vbench.linux import namespaces
from vbench.record.network import LinkCheck, Network
from vbench.record.phases import timed

SETUP_S = 20.0
"""Time limit for namespaces and links."""
POLL_S = 0.05
WATCH_S = 0.5


def emit(**event: Any) -> None:
    """Report an event to the harness."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """The launcher: its exit status is init's (128 and more: by a signal)."""
    spec = Spec.from_json(arguments[0])
    namespaces.die_with_parent()
    try:
        namespaces.new_root(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWNET | namespaces.CLONE_NEWPID)
    except OSError as error:
        emit(
            event="failed",
            message=f"the kernel does not allow namespaces ({error}): 'vbench doctor' says how to allow them",
        )
        return 1
    # The kernel resets it when credentials change.
    namespaces.die_with_parent()
    init = os.fork()
    if init:
        # If a signal ends the launcher, the kernel ends init.
        ended = os.waitstatus_to_exitcode(os.waitpid(init, 0)[1])
        return ended if ended >= 0 else 128 - ended
    status = 1
    try:
        namespaces.die_with_parent()
        status = _init(spec)
    except (HostError, OSError) as error:
        emit(event="failed", message=str(error))
        print(error, file=sys.stderr, flush=True)
    finally:
        # All else in the PID namespace ends with this process.
        sys.stdout.flush()
        os._exit(status)


def _init(spec: Spec) -> int:
    namespaces.private_mounts()
    namespaces.mount_proc()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # As PID 1 the default would be to ignore them.
        signal.signal(number, lambda *_: os._exit(128 + signal.SIGTERM))
    phases_s: dict[str, float] = {}
    with timed(phases_s, "network"):
        emit(event="progress", phase="creating hosts and links")
        hosts = _network(spec)
    with timed(phases_s, "link_check"):
        emit(event="progress", phase="checking the links")
        checks = _check_links(hosts, spec.congestion_control)
    wrong = [text for check in checks if (text := link_check.link_problem(check))]
    if wrong:
        raise HostError(wrong[0])
    with timed(phases_s, "ray"):
        _start_ray(spec, hosts)
    network = Network(
        scale=spec.scale,
        congestion_control=spec.congestion_control,
        links=[host.host.link for host in hosts],
        checks=checks,
    )
    with control.serving(spec.folder) as server:
        emit(event="ready", network=asdict(network), phases_s=phases_s, head_pid=hosts[0].pid)
        _supervise(hosts, server)
        _check_again(hosts, spec, server)
        while True:  # until the guard ends it all
            time.sleep(WATCH_S)


def _check_again(hosts: Sequence[RunningHost], spec: Spec, server: socket.socket) -> None:
    """End Ray on all hosts, check the links once more, and send the result."""
    with control.pending_request(server) as answer:
        try:
            _request_all(hosts, "end")
            checks = _check_links(hosts, spec.congestion_control, link_check.SHORT_S)
            answer({"checks": [asdict(check) for check in checks]})
        except (HostError, OSError) as error:
            answer({"error": str(error)})


def _network(spec: Spec) -> list[RunningHost]:
    """The hosts, with links between them."""
    hosts = [fork_host(spec, host) for host in spec.hosts]
    _request_all(hosts, "unshare")
    # Imported after the forks: the library's event loop must not be shared by them.
    from vbench.clusters.emulated.shaping import make_switch, plug_in

    make_switch()
    for index, running in enumerate(hosts):
        plug_in(index, running.host, running.pid)
    _request_all(hosts, "configure")
    return hosts


def _request_all(hosts: Sequence[RunningHost], do: str, **parameters: Any) -> list[Any]:
    """Send a request to all hosts at once; their results."""
    for host in hosts:
        host.send(do, **parameters)
    return [host.receive(SETUP_S) for host in hosts]


def _check_links(
    hosts: Sequence[RunningHost], congestion_control: str, measure_s: float = link_check.MEASURE_S
) -> list[LinkCheck]:
    """One flow, then as many as fill the NIC, from each host to the next, concurrently if they do not disturb
    each other; then several into a NIC that none fills alone.

    HostError if a connection's congestion control is not that asked for.
    """
    _request_all(hosts, "listen")
    by_name = {host.host.name: host for host in hosts}
    checks: list[LinkCheck] = []
    ring = link_check.pairs([host.host for host in hosts])
    for flows_of in (_single_flow, link_check.flows_to_fill):
        planned = [(sender, receiver, flows_of(sender, receiver)) for sender, receiver in ring]
        for together in link_check.rounds(planned):
            running = [(by_name[one.name], by_name[other.name], flows) for one, other, flows in together]
            for pair, check in zip(
                running, _check_round(running, congestion_control, measure_s), strict=True
            ):
                checks.append(_retry(check, partial(_check_one, pair, congestion_control, measure_s)))
    together_in = link_check.fan_in([host.host for host in hosts])
    if together_in is not None:
        receiver = by_name[together_in[0].name]
        senders = [by_name[host.name] for host in together_in[1]]
        check = _check_fan_in(receiver, senders, congestion_control, measure_s)
        checks.append(_retry(check, partial(_check_fan_in, receiver, senders, congestion_control, measure_s)))
    return checks


def _retry(check: LinkCheck, once_more: Callable[[], LinkCheck]) -> LinkCheck:
    """Check a link that seems to be off again, alone, in case the machine was busy for a moment."""
    for number in range(2, link_check.TRIES + 1):
        if link_check.link_problem(check) is None:
            break
        check = replace(once_more(), tries=number)
    return check


def _check_one(
    pair: tuple[RunningHost, RunningHost, int], congestion_control: str, measure_s: float
) -> LinkCheck:
    (check,) = _check_round([pair], congestion_control, measure_s)
    return check


def _check_fan_in(
    receiver: RunningHost, senders: Sequence[RunningHost], congestion_control: str, measure_s: float
) -> LinkCheck:
    """Check that several hosts fill a NIC that is wider than any of theirs."""
    flows = [link_check.flows_to_fill(sender.host, receiver.host) for sender in senders]
    receiver.send("check", peer=None, flows=0, incoming=sum(flows), measure_s=measure_s)
    for sender, count in zip(senders, flows, strict=True):
        sender.send("check", peer=receiver.host.ip, flows=count, incoming=0)
    measured_mbps, used_control = receiver.receive(SETUP_S)
    for sender in senders:
        sender.receive(SETUP_S)
    _same_control(receiver, used_control, congestion_control)
    sent_mbps = sum(
        link_check.expected_mbps(sender.host, receiver.host, count)
        for sender, count in zip(senders, flows, strict=True)
    )
    return LinkCheck(
        sender="+".join(sender.host.name for sender in senders),
        receiver=receiver.host.name,
        flows=sum(flows),
        expected_mbps=min(sent_mbps, receiver.host.nic_mbps),
        measured_mbps=measured_mbps,
    )


def _same_control(host: RunningHost, used: str, asked: str) -> None:
    if used != asked:
        raise HostError(
            f"TCP congestion control on host {host.host.name} is {used}, not {asked}: load it into the"
            f" kernel (modprobe tcp_{asked}), or choose cluster.congestion_control={used}"
        )


def _single_flow(*_: object) -> int:
    return 1


def _check_round(
    pairs: Sequence[tuple[RunningHost, RunningHost, int]], congestion_control: str, measure_s: float
) -> list[LinkCheck]:
    sends = {sender.host.name: (receiver, flows) for sender, receiver, flows in pairs}
    receives = {receiver.host.name: flows for _, receiver, flows in pairs}
    involved = {host.host.name: host for pair in pairs for host in pair[:2]}
    for name, host in involved.items():
        peer, flows = sends.get(name, (None, 0))
        ip = peer.host.ip if peer else None
        incoming = receives.get(name, 0)
        host.send("check", peer=ip, flows=flows, incoming=incoming, measure_s=measure_s)
    answers = {name: host.receive(SETUP_S) for name, host in involved.items()}
    received = {name: answers[name][0] for name in receives}
    for name in receives:
        _same_control(involved[name], answers[name][1], congestion_control)
    return [
        LinkCheck(
            sender=sender.host.name,
            receiver=receiver.host.name,
            flows=flows,
            expected_mbps=link_check.expected_mbps(sender.host, receiver.host, flows),
            measured_mbps=received[receiver.host.name],
        )
        for sender, receiver, flows in pairs
    ]


def _start_ray(spec: Spec, hosts: Sequence[RunningHost]) -> None:
    """Start the head first, because the other nodes join its control store. Start no more of them at a time
    than there are cores: Ray gives up on a node that the control store does not know within 30 s."""
    deadline = time.monotonic() + spec.timeout_s
    head, *waiting = hosts
    started, starting = [head], [head]
    emit(event="progress", phase="starting Ray on the head")
    _request_all([head], "start")
    while starting:
        _wait_or_fail(started, deadline, spec)
        ready = [host for host in starting if _ray_is_up(host)]
        if not ready:
            continue
        starting = [host for host in starting if host not in ready]
        up_now = len(started) - len(starting)
        emit(event="progress", phase="starting Ray on the other nodes", done=up_now, total=len(hosts))
        free = len(os.sched_getaffinity(0)) - len(starting)
        following, waiting = waiting[:free], waiting[free:]
        _request_all(following, "start")
        started += following
        starting += following


def _wait_or_fail(hosts: Sequence[RunningHost], deadline: float, spec: Spec) -> None:
    """Wait a moment; HostError if the time is up, or Ray has exited on one of ``hosts``."""
    if time.monotonic() > deadline:
        raise HostError(
            f"Ray did not start on all hosts within cluster.start_timeout_s={spec.timeout_s:g}: raise it, or"
            f" use fewer nodes"
        )
    _check_alive(hosts)
    time.sleep(POLL_S)


def _ray_is_up(host: RunningHost) -> bool:
    (up,) = _request_all([host], "ray_is_up")
    return bool(up)


def _check_alive(hosts: Sequence[RunningHost]) -> None:
    for host, status in zip(hosts, _request_all(hosts, "status"), strict=True):
        if status is not None:
            raise HostError(f"Ray on host {host.host.name} exited with status {status}")


def _supervise(hosts: Sequence[RunningHost], server: socket.socket) -> None:
    """Wait until a check of the links is requested; HostError if Ray exits on a host before that. Reaps
    orphans, as PID 1 must."""
    while not select.select([server], [], [], WATCH_S)[0]:
        with suppress(ChildProcessError):
            while (done := os.waitpid(-1, os.WNOHANG))[0]:
                if done[0] in {host.pid for host in hosts}:
                    raise HostError("a host's process exited")
        _check_alive(hosts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
