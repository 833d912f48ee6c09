"""A Ray cluster that someone else started: the emulated one with a dashboard, seen from its own network."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.emulated import ENDS, SCALE, of
from tests.support.runs import ROOT, Workplace, below
from tests.support.waiting import until
from vbench.clusters.emulated import cluster as emulated
from vbench.linux import procfs
from vbench.run.compose import compose_configs

DEADLINE_S = 240
DASHBOARD_PORT = 8265

NODES = ENDS

CHUNKS = ("+cluster.nodes.decode.resources.chunk_only=1", "cluster.deployments.service.replicas=1")
"""Videos are cut where they are decoded: each node takes seconds to start."""

STARTED = (
    "cluster=emulated",
    f"cluster.scale={SCALE}",
    f"cluster.dashboard_port={DASHBOARD_PORT}",
    *of(*NODES),
    *CHUNKS,
    "cluster.start_timeout_s=180",
)
"""What the stranger started."""

PLACED = (
    "cluster=attached",
    *of(*NODES, store_mb=150),
    *CHUNKS,
    *(f"cluster.nodes.{name}.cpus=4" for name in NODES[1:]),
    "cluster.nodes.gpu.gpus=0",
    *("cluster.deployments.decoder.replicas=2", "cluster.deployments.decoder.cpus=1"),
    *(f"cluster.deployments.inference.{key}" for key in ("replicas=1", "cpus=1", "gpus=0")),
    "cluster.start_timeout_s=60",
    "load.sample_period_s=0.2",
    "tracking=off",
    # What else runs on the machine that tests is not what they are about.
    "load.max_machine_cpu_percent=100",
    "load.max_foreign_cpu_percent=100",
    "load.max_stall_ms=30000",
    "load.max_speed_change_percent=99",
    "load.max_late_ms=10000",
)
"""And what a trial there is told of it."""

AGENTS = 2
"""Processes that a raylet starts beside itself, on its own: of the dashboard and for runtime environments."""


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """The cluster, as one reaches it who has only its address and its token."""

    enter: tuple[str, ...]
    env: dict[str, str]
    address: str
    """URL of the dashboard."""

    def start(
        self, workplace: Workplace, *arguments: str, module: str = "vbench", **env: str
    ) -> "subprocess.Popen[str]":
        """The command, or a module of the tests, on a host of the cluster's network."""
        if module != "vbench":
            env["PYTHONPATH"] = str(ROOT)
        return workplace.start(*arguments, module=module, enter=self.enter, **{**self.env, **env})

    def run(
        self, workplace: Workplace, *arguments: str, module: str = "vbench", **env: str
    ) -> tuple[int, str]:
        """(exit status, all that was printed)."""
        process = self.start(workplace, *arguments, module=module, **env)
        output, _ = process.communicate(timeout=DEADLINE_S)
        return process.returncode, output

    def trial(self, workplace: Workplace, *arguments: str, **env: str) -> tuple[int, str]:
        """A trial attached to the cluster."""
        return self.run(workplace, *PLACED, f"cluster.address={self.address}", *arguments, **env)

    def there(self, workplace: Workplace) -> dict[str, list[str]]:
        """``jobs``: the state of each there was; ``actors``: the class of each alive; told from inside."""
        status, output = self.run(workplace, self.address, module="tests.support.jobs_there")
        assert status == 0, output
        found: dict[str, list[str]] = json.loads(output.splitlines()[-1])
        return found


@contextmanager
def stranger(log: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Iterator[Stranger]:
    """A cluster with these overrides beside those of all tests, for the block. All its processes are there:
    a raylet registers before its agents are up, and what comes later would be taken for a run's."""
    (config,) = compose_configs([*STARTED, *overrides], multirun=False)
    # On the nodes of a cluster, python is the one that has Ray, as in an image.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    others = _raylets()
    with emulated.start(config, log, lambda *_, **__: None) as running:
        until(lambda: _agents_are_there(_raylets() - others), "the agents of all raylets are up", DEADLINE_S)
        host, _, _ = running.address.partition(":")
        yield Stranger(
            enter=running.enter,
            env={name: running.load_env[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")},
            address=f"http://{host}:{DASHBOARD_PORT}",
        )


def records() -> list[Path]:
    """Folders that jobs keep their records in, on all hosts of a cluster that this process has started: a job
    removes its own as it leaves."""
    packages = "tmp/*/session_*/runtime_resources/working_dir_files/_ray_pkg_*"
    return [path for pid in _raylets() for path in Path(f"/proc/{pid}/root").glob(f"{packages}/record-*")]


def _ours() -> list[procfs.Stat]:
    return [line for pid in below(os.getpid()) if (line := procfs.stat(pid))]


def _raylets() -> set[int]:
    """Of all clusters that this process has started."""
    return {line.pid for line in _ours() if line.name == "raylet"}


def _agents_are_there(raylets: set[int]) -> bool:
    ours = _ours()
    agents = [sum(line.parent == raylet for line in ours) for raylet in raylets]
    return len(agents) == len(NODES) and min(agents) >= AGENTS
