"""What is said of nodes is read from the kernel: flags, connections, bytes and processes of each one."""

import os
import select
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support import records
from tests.support.waiting import until
from vbench.clusters.base import NodeAddress
from vbench.linux import nics, procfs
from vbench.linux.tcp_connections import (
    NETLINK_SOCK_DIAG,
    Address,
    PeerConnections,
    TcpConnections,
    tcp_connections_of,
)
from vbench.ray_internals.object_manager import COUNT_VARIABLE, ENABLE_VARIABLE
from vbench.telemetry import connections, raylet_flags
from vbench.telemetry.node_processes import NodeProcesses

DEADLINE_S = 60

OWN_NETWORK = """
import fcntl, socket, struct, subprocess, sys
from vbench.linux.namespaces import CLONE_NEWNET, new_root

new_root(CLONE_NEWNET)
flags = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, flags)  # SIOCSIFFLAGS
server = socket.create_server(("127.0.0.1", 8076))
clients = [socket.create_connection(("127.0.0.1", 8076)) for _ in range(5)]
clients[0].sendall(bytes(10000))
child = subprocess.Popen([sys.executable, "-c", "x = bytes(range(256)) * 200000; print(); input()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
sys.stdin.read()
child.communicate()
"""
"""A network namespace with five connections within it, and a child that holds 50 MB."""


@contextmanager
def running(code: str, *arguments: str, name: str = sys.executable, **env: str) -> Iterator[int]:
    """A Python process that has said that it is ready, under another name if asked for."""
    process = subprocess.Popen(
        [name, "-c", code, *arguments],
        executable=sys.executable,
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], DEADLINE_S)[0]
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.communicate(timeout=DEADLINE_S)


WAITS = "import sys; print('ready', flush=True); sys.stdin.read()"


@contextmanager
def raylet(ip: str, session: Path, **env: str) -> Iterator[int]:
    """A process that is called as Ray calls a raylet."""
    name = str(Path(sys.executable).with_name("raylet"))
    arguments = (f"--node_ip_address={ip}", f"--session_dir={session}/session_1")
    with running(WAITS, *arguments, name=name, **env) as pid:
        yield pid


def established(pid: int) -> Counter[Address]:
    if pid == os.getpid():
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as here:
            return TcpConnections(here).by_peer()
    with tcp_connections_of(pid) as remotes:
        return remotes.by_peer()


def test_what_was_sent_over_a_connection_is_counted_at_its_sender() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as sender,
        server.accept()[0] as receiver,
        tcp_connections_of(os.getpid()) as connections,
    ):
        sender.sendall(bytes(300_000))
        received = 0
        while received < 300_000:
            received += len(receiver.recv(65536))

        def sent() -> int:
            found = connections.traffic_by_peer()
            assert found[sender.getsockname()] == PeerConnections(1, 0)
            return found[server.getsockname()].sent_bytes

        # The kernel counts the SYN of the side that connects, too.
        until(lambda: sent() == 300_001, "all is acknowledged", 10)


def test_each_nodes_flags_are_those_of_its_own_raylet(tmp_path: Path) -> None:
    nodes = [NodeAddress(name="head", ip="10.7.0.1"), NodeAddress(name="gpu", ip="10.7.0.2")]
    with (
        raylet("10.7.0.1", tmp_path / "a", **{ENABLE_VARIABLE: "1", COUNT_VARIABLE: "15"}) as head,
        raylet("10.7.0.2", tmp_path / "a") as gpu,
        raylet("10.7.0.3", tmp_path / "a") as unknown,
        raylet("10.7.0.1", tmp_path / "b"),
    ):
        found = raylet_flags.raylet_flags(str(tmp_path / "a"), nodes, [])
    assert {(node.node, node.raylet_pid) for node in found} == {
        ("head", head),
        ("gpu", gpu),
        ("10.7.0.3", unknown),
    }
    by_node = {node.node: node.flags for node in found}
    assert by_node["head"] == {ENABLE_VARIABLE: "1", COUNT_VARIABLE: "15"}
    assert by_node["gpu"] == {}


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_established_connections_are_counted_by_their_remote_end(
    family: socket.AddressFamily, host: str
) -> None:
    if family == socket.AF_INET6 and not Path("/proc/net/tcp6").exists():
        pytest.skip("this kernel has no IPv6")
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((host, 0), family=family, backlog=8))
        address = (host, server.getsockname()[1])
        assert established(os.getpid())[address] == 0
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(5)]
        assert established(os.getpid())[address] == 5
        own = clients[0].getsockname()[:2]
        assert established(os.getpid())[own] == 1
        clients[0].close()
        assert established(os.getpid())[address] == 4


def test_ipv4_within_ipv6_is_the_ipv4_that_it_is() -> None:
    if not Path("/proc/net/tcp6").exists():
        pytest.skip("this kernel has no IPv6")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.socket(socket.AF_INET6) as client:
            client.connect(("::ffff:127.0.0.1", port))
            assert established(os.getpid())["127.0.0.1", port] == 1


def test_a_process_that_is_gone_is_an_error_and_not_a_zero() -> None:
    gone = 2**22 + 1
    for ask in (established, nics.nic_bytes):
        with pytest.raises(FileNotFoundError, match=str(gone)):
            ask(gone)
    assert nics.namespace(gone) is None
    assert procfs.private_bytes(gone) == 0


def test_a_network_namespace_has_counters_connections_and_processes_of_its_own() -> None:
    root = str(Path(__file__).resolve().parents[2])
    with ExitStack() as stack:
        first = stack.enter_context(running(OWN_NETWORK, PYTHONPATH=root))
        second = stack.enter_context(running(OWN_NETWORK, PYTHONPATH=root))
        outside = stack.enter_context(running(WAITS))
        assert len({nics.namespace(pid) for pid in (first, second, outside)}) == 3
        for pid in (first, second):
            assert established(pid)["127.0.0.1", 8076] == 5
            nic = nics.nic_bytes(pid)
            assert (nic.sent, nic.received) == (0, 0)
        processes = NodeProcesses({"head": first, "gpu": second}, shaped=True)
        cpu_s, private = processes.sample()
        cpu_s, private = processes.sample()
    for name in ("head", "gpu"):
        assert 50e6 < private[name] < 200e6
        assert 0 < cpu_s[name] < 60


def test_a_single_node_is_what_ray_started_and_this_process() -> None:
    spin = "import time\nwhile time.process_time() < 0.2: pass\n" + WAITS
    with running(spin) as beside_us:
        # Whose parent is this process, as a raylet's is ``ray start``.
        cpu_s, private = NodeProcesses({"head": beside_us}, shaped=False).sample()
    assert cpu_s["head"] >= 0.2
    assert private["head"] > 1e6


def test_the_most_connections_that_were_seen_are_what_counts() -> None:
    samples = [
        records.sample(float(at), node="decode", connections={"gpu": count, "head": 1})
        for at, count in enumerate((1, 15, 14))
    ]
    moved = {("decode", "gpu"): 900, ("gpu", "decode"): 5, ("decode", "head"): 0}
    asked, none = connections.connections(15, moved, samples)
    assert (asked.sender, asked.receiver, asked.expected, asked.established) == ("decode", "gpu", 15, 15)
    assert (none.sender, none.established, none.moved_bytes) == ("gpu", 0, 5)
