"""One emulated host: a process with a network and mounts of its own, which serves init's requests."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vbench.clusters.emulated import link_check
from vbench.clusters.emulated.topology import TEMP_MB, Host, Spec
from vbench.linux import namespaces, nics, procfs
from vbench.ray_internals.node import STARTED_LINE

Message = Mapping[str, Any]

END_S = 10.0
"""Killed processes are gone within this time."""

POLL_S = 0.02

SETUP_S = 20.0
"""Time limit for namespaces, links, and one check of a link, on as many hosts as ``AT_ONCE``."""

AT_ONCE = 4
"""Hosts that share a machine's cores; with more, each has the time that many take."""


class HostError(Exception):
    """A host could not serve a request; the message says which host and why."""


@dataclass(slots=True)
class RunningHost:
    """A host, as init sees it."""

    host: Host
    pid: int
    channel: socket.socket

    def send(self, do: str, **parameters: Any) -> None:
        """Send a request; ``receive`` waits for its result."""
        self.channel.sendall(json.dumps({"do": do, **parameters}).encode() + b"\n")

    def receive(self, timeout_s: float) -> Any:
        """Result of the last request; HostError if it failed or takes longer."""
        self.channel.settimeout(timeout_s)
        data = b""
        try:
            while not data.endswith(b"\n"):
                more = self.channel.recv(65536)
                if not more:
                    raise HostError(f"host {self.host.name} exited")
                data += more
        except TimeoutError as error:
            raise HostError(f"host {self.host.name} did not respond within {timeout_s:g} s") from error
        reply = json.loads(data)
        if "error" in reply:
            raise HostError(f"host {self.host.name}: {reply['error']}")
        return reply["value"]


def request_all(hosts: Sequence[RunningHost], do: str, **parameters: Any) -> list[Any]:
    """Send a request to all hosts at once; their results."""
    for host in hosts:
        host.send(do, **parameters)
    timeout_s = SETUP_S * max(1.0, len(hosts) / AT_ONCE)
    return [host.receive(timeout_s) for host in hosts]


def fork_host(spec: Spec, host: Host) -> RunningHost:
    """Start a host, which enters its own namespaces and waits for requests."""
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        theirs.close()
        return RunningHost(host, pid, ours)
    status = 1
    try:
        ours.close()
        namespaces.die_with_parent()
        _serve(theirs, _Host(spec, host))
        status = 0
    except BaseException:  # noqa: BLE001 - nothing of the parent may run in this copy of it
        traceback.print_exc()
    finally:
        os._exit(status)


def _serve(channel: socket.socket, host: "_Host") -> None:
    """Serve requests until init has ended; one JSON line each way."""
    handlers: dict[str, Callable[..., Any]] = {
        "unshare": host.unshare,
        "configure": host.configure,
        "listen": host.listen,
        "check": host.check,
        "start": host.start,
        "ray_is_up": host.ray_is_up,
        "status": host.status,
        "change": host.change,
        "end": host.end,
    }
    with channel.makefile("rb") as lines:
        for line in lines:
            request = json.loads(line)
            try:
                reply: Message = {"value": handlers[request.pop("do")](**request)}
            except Exception as error:  # noqa: BLE001 - init decides what comes of it
                traceback.print_exc()
                reply = {"error": f"{type(error).__name__}: {error}"}
            channel.sendall(json.dumps(reply).encode() + b"\n")


class _Host:
    """The requests that a host serves."""

    def __init__(self, spec: Spec, host: Host) -> None:
        self._spec = spec
        self._host = host
        self._server: socket.socket | None = None
        self._ray: subprocess.Popen[bytes] | None = None
        self._started = False
        self._last_printed = b""
        """The end of what Ray has printed, as long as ``STARTED_LINE`` less a byte."""

    def unshare(self) -> None:
        """Enter namespaces of its own."""
        namespaces.unshare(namespaces.CLONE_NEWNET | namespaces.CLONE_NEWNS)
        namespaces.private_mounts()
        namespaces.mount_memory(self._spec.folder, TEMP_MB)
        namespaces.mount_memory("/dev/shm", self._host.shm_mb)

    def configure(self) -> None:
        """Configure the link, once it is plugged in."""
        from vbench.clusters.emulated.shaping import configure_host

        configure_host(self._host, self._spec.congestion_control)

    def change(self, *, nic_mbps: float, flow_mbps: float) -> None:
        """Give what it sends other rates."""
        from vbench.clusters.emulated.shaping import change_host

        after = replace(self._host, nic_mbps=nic_mbps, flow_mbps=flow_mbps)
        change_host(self._host, after)
        self._host = after

    def listen(self) -> None:
        """Listen for link checks."""
        self._server = link_check.listen(self._host.ip)

    def check(
        self, *, peer: str | None, flows: int, incoming: int, measure_s: float = link_check.MEASURE_S
    ) -> tuple[float, str] | None:
        """Send ``flows`` to ``peer`` while receiving ``incoming`` of them.

        Mbit/s received and TCP's congestion control; None if nothing is received. A separate process sends,
        so that sending and receiving do not slow each other.
        """
        sender = 0
        if peer is not None:
            sender = os.fork()
            if sender == 0:
                status = 1
                try:
                    link_check.send(peer, flows)
                    status = 0
                except BaseException:  # noqa: BLE001 - this copy must end here
                    traceback.print_exc()
                finally:
                    os._exit(status)
        assert self._server is not None
        received = link_check.receive(self._server, incoming, measure_s) if incoming else None
        if sender:
            _, status = os.waitpid(sender, 0)
            if status:
                raise ChildProcessError("the sender of the link check failed")
        return received

    def start(self) -> int:
        """Start Ray; its process id in the cluster's PID namespace."""
        if self._server is not None:
            self._server.close()
        self._ray = subprocess.Popen(
            self._host.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        assert self._ray.stdout is not None
        os.set_blocking(self._ray.stdout.fileno(), False)
        return self._ray.pid

    def ray_is_up(self) -> bool:
        """Whether Ray has reported that it has started."""
        self._forward_output()
        return self._started

    def _forward_output(self) -> None:
        """Copy Ray's output to the log."""
        if self._ray is None or self._ray.stdout is None:
            return
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self._ray.stdout.fileno(), 65536):
                printed = self._last_printed + more
                self._started = self._started or STARTED_LINE.encode() in printed
                self._last_printed = printed[1 - len(STARTED_LINE) :]
                sys.stderr.buffer.write(more)
        sys.stderr.buffer.flush()

    def end(self) -> None:
        """End Ray and all other processes on this host; ChildProcessError if one cannot be killed."""
        own = nics.namespace(os.getpid())
        deadline = time.monotonic() + END_S
        while others := [
            line
            for line in procfs.all_stats().values()
            if line.pid != os.getpid() and not line.has_ended and nics.namespace(line.pid) == own
        ]:
            if time.monotonic() > deadline:
                raise ChildProcessError(f"{others[0].name} ({others[0].pid}) could not be killed")
            for line in others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(line.pid, signal.SIGKILL)
            if self._ray is not None:
                self._ray.poll()
            time.sleep(POLL_S)

    def status(self) -> int | None:
        """Ray's exit status; None while it runs."""
        status = None if self._ray is None else self._ray.poll()
        self._forward_output()
        return status
