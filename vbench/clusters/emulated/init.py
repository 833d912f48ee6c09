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
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vbench.clusters.emulated import control, link_check
from vbench.clusters.emulated.check_rounds import check_links
from vbench.clusters.emulated.host import HostError, RunningHost, fork_host, request_all
from vbench.clusters.emulated.topology import Spec
from vbench.linux import namespaces
from vbench.record.network import Network
from vbench.record.phases import timed

if TYPE_CHECKING:
    # Imported after the forks, as the library that it uses is.
    from vbench.clusters.emulated.rate_events import RateEvents

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
        checks = check_links(hosts, spec.congestion_control)
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
        emit(
            event="ready",
            network=asdict(network),
            phases_s=phases_s,
            pids={host.host.name: host.pid for host in hosts},
        )
        from vbench.clusters.emulated.rate_events import RateEvents

        _supervise(hosts, spec, server, RateEvents(hosts, spec.events))
        while True:  # until the guard ends it all
            time.sleep(WATCH_S)


def _check_again(hosts: Sequence[RunningHost], spec: Spec, events: "RateEvents") -> dict[str, Any]:
    """End Ray on all hosts and check the links once more; the response to who asked for it."""
    took_place = [asdict(event) for event in events.end()]
    try:
        request_all(hosts, "end")
        checks = check_links(hosts, spec.congestion_control, link_check.SHORT_S)
        return {"checks": [asdict(check) for check in checks], "events": took_place}
    except (HostError, OSError) as error:
        return {"error": str(error)}


def _network(spec: Spec) -> list[RunningHost]:
    """The hosts, with links between them."""
    hosts = [fork_host(spec, host) for host in spec.hosts]
    request_all(hosts, "unshare")
    # Imported after the forks: the library's event loop must not be shared by them.
    from vbench.clusters.emulated.shaping import make_switch, plug_in

    make_switch()
    for index, running in enumerate(hosts):
        plug_in(index, running.host, running.pid)
    request_all(hosts, "configure")
    return hosts


def _start_ray(spec: Spec, hosts: Sequence[RunningHost]) -> None:
    """Start the head first, because the other nodes join its control store. Start no more of them at a time
    than there are cores: Ray gives up on a node that the control store does not know within 30 s. The time
    limit begins again with each that is up."""
    deadline = time.monotonic() + spec.timeout_s
    head, *waiting = hosts
    started, starting = [head], [head]
    emit(event="progress", phase="starting Ray on the head")
    request_all([head], "start")
    while starting:
        _wait_or_fail(started, deadline, spec)
        ready = [host for host in starting if _ray_is_up(host)]
        if not ready:
            continue
        deadline = time.monotonic() + spec.timeout_s
        starting = [host for host in starting if host not in ready]
        up_now = len(started) - len(starting)
        emit(event="progress", phase="starting Ray on the other nodes", done=up_now, total=len(hosts))
        free = len(os.sched_getaffinity(0)) - len(starting)
        following, waiting = waiting[:free], waiting[free:]
        request_all(following, "start")
        started += following
        starting += following


def _wait_or_fail(hosts: Sequence[RunningHost], deadline: float, spec: Spec) -> None:
    """Wait a moment; HostError if the time is up, or Ray has exited on one of ``hosts``."""
    if time.monotonic() > deadline:
        raise HostError(
            f"Ray did not start on a host within cluster.start_timeout_s={spec.timeout_s:g}: raise it, or"
            f" use fewer nodes"
        )
    _check_alive(hosts)
    time.sleep(POLL_S)


def _ray_is_up(host: RunningHost) -> bool:
    (up,) = request_all([host], "ray_is_up")
    return bool(up)


def _check_alive(hosts: Sequence[RunningHost]) -> None:
    for host, status in zip(hosts, request_all(hosts, "status"), strict=True):
        if status is not None:
            raise HostError(f"Ray on host {host.host.name} exited with status {status}")


def _supervise(hosts: Sequence[RunningHost], spec: Spec, server: socket.socket, events: "RateEvents") -> None:
    """Serve requests, and change rates, until the links have been checked again; HostError if Ray exits on a
    host before that. Reaps orphans, as PID 1 must."""
    while True:
        is_asked = select.select([server], [], [], events.due_in_s(WATCH_S))[0]
        if is_asked and _serve(hosts, spec, server, events):
            return
        events.apply_due()
        with suppress(ChildProcessError):
            while (done := os.waitpid(-1, os.WNOHANG))[0]:
                if done[0] in {host.pid for host in hosts}:
                    raise HostError("a host's process exited")
        _check_alive(hosts)


def _serve(hosts: Sequence[RunningHost], spec: Spec, server: socket.socket, events: "RateEvents") -> bool:
    """Serve one request; whether it was the last that there can be."""
    with control.pending_request(server) as (asked, answer):
        match asked.get("do"):
            case control.STATUS:
                statuses = zip(hosts, request_all(hosts, "status"), strict=True)
                answer({"hosts": {host.host.name: status is None for host, status in statuses}})
            case control.BEGIN_EVENTS:
                events.begin(asked["at_s"])
                answer({})
            case control.CHECK_LINKS:
                answer(_check_again(hosts, spec, events))
                return True
            case other:
                answer({"error": f"an emulated cluster has no request {other}"})
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
