"""A trial's Ray is in a network that nobody else reaches, and its folders are this user's alone."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.runs import below
from vbench.clusters import local, private_network
from vbench.errors import ConfigError, InputError
from vbench.linux import procfs
from vbench.ray_internals.node import session_folder
from vbench.run.compose import compose_configs

SEES = """
import psutil, socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], *psutil.net_if_addrs())
    sys.stdout.flush()
    sys.stdin.readline()
"""


def test_a_command_in_it_has_loopback_alone_and_is_out_of_reach() -> None:
    assert private_network.refusal() is None
    run = subprocess.Popen(
        [*private_network.COMMAND, sys.executable, "-c", SEES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdin is not None
    assert run.stdout is not None
    port, *interfaces = run.stdout.readline().split()
    assert interfaces == ["lo"]
    with socket.socket() as outside:
        assert outside.connect_ex(("127.0.0.1", int(port))) != 0
    run.communicate("end\n", timeout=30)
    assert run.returncode == 0


def listening() -> set[str]:
    """Sockets that listen on this machine's own network, as ``/proc/PID/fd`` names them."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(f"socket:[{fields[9]}]")
    return found


def opened(pid: int) -> set[str]:
    """What a process has open; empty once it has ended."""
    found = set()
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(str(descriptor.readlink()))
    return found


def listeners(pids: Iterable[int]) -> list[str]:
    """Commands of those that listen on this machine's own network."""
    there = listening()
    return [" ".join(procfs.command(pid)) for pid in pids if opened(pid) & there]


def test_who_listens_on_this_machine_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        assert len(listeners([os.getpid()])) == 1


@pytest.mark.slow
def test_ray_opens_no_port_on_this_machine_and_no_folder_to_other_users(tmp_path: Path) -> None:
    (config,) = compose_configs(["cluster.nodes.head.object_store_mb=100"], multirun=False)
    before = below(os.getpid())
    with local.start(config, tmp_path / "ray.log", lambda *_, **__: None) as cluster:
        assert cluster.enter, "it has a network of its own"
        pids = set(below(os.getpid())) - set(before)
        names = {line.name for pid in pids if (line := procfs.stat(pid))}
        assert {"raylet", "gcs_server"} <= names
        assert listeners(pids) == []
        port = int(cluster.address.rsplit(":", 1)[1])
        reached = subprocess.run(
            [
                *cluster.enter,
                sys.executable,
                "-c",
                f"import socket; socket.create_connection(('127.0.0.2', {port}))",
            ],
            check=False,
            timeout=60,
        )
        assert reached.returncode == 0, "the load process reaches it"
        sessions = Path(cluster.temp_dir)
        for folder in (sessions.parent, sessions, session_folder(sessions).resolve()):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert not sessions.parent.exists()


def test_a_service_that_fetches_its_video_keeps_the_machines_network() -> None:
    said: list[str] = []
    (config,) = compose_configs(["video=file", "video.path=https://example.com/a.mp4"], multirun=False)
    assert local._isolated(config, lambda name, **_: said.append(name)) is False
    assert said == []
    (config,) = compose_configs(
        ["video=file", "video.path=https://example.com/a.mp4", "cluster.private_network=true"], multirun=False
    )
    with pytest.raises(InputError, match=r"cuts the service off from video\.path="):
        local._isolated(config, lambda *_, **__: None)


def test_it_can_be_declined_and_is_for_the_local_cluster_alone() -> None:
    (config,) = compose_configs(["cluster.private_network=false"], multirun=False)
    assert local._isolated(config, lambda *_, **__: None) is False
    with pytest.raises(ConfigError, match=r"cluster\.private_network=true is for cluster=local"):
        compose_configs(["cluster=emulated", "cluster.private_network=true"], multirun=False)
