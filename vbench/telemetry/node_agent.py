"""The actor on a node of a cluster that is on other machines: its facts, samples and clock."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.clusters.base import ClusterEndpoint
from vbench.config.runtime_env import found_variables
from vbench.linux import procfs
from vbench.ray_internals.processes import is_gcs_server, is_ray_start, is_raylet
from vbench.ray_internals.setting_readers import Role
from vbench.record.condition_owners import MACHINE
from vbench.record.harness import Speed, Stall
from vbench.record.load_report import NodeRuntime, ProcessSettings
from vbench.record.samples import MachineSample, NodeSample
from vbench.telemetry import conditions, environment, process_settings, speed
from vbench.telemetry.machine import MachineSampler
from vbench.telemetry.nodes import NodeSampler, RayNode
from vbench.telemetry.raylet_flags import transfer_threads
from vbench.telemetry.stall_watch import StallWatch

HARDWARE = ("cpu", "cores", "memory_mb", "gpus", "kernel", "machine", "python", "packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What an agent finds on its node when it starts."""

    runtime: NodeRuntime
    control_store: list[ProcessSettings]
    """The variables of the control store, if it runs on this node."""
    hardware: Mapping[str, Any]
    machine: tuple[str, int]
    """Boot id and PID namespace: nodes with the same are on one machine and see each other's processes."""
    roots: tuple[int, ...]
    """Processes that, with all their descendants, make up the node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSamples:
    """What an agent has sampled."""

    nodes: list[NodeSample]
    machines: list[MachineSample]
    oom_kills: int | None
    """Processes killed by its machine's kernel for lack of memory; None if the kernel does not count them, or
    another agent does."""
    stall: Stall
    conditions: Mapping[str, Mapping[str, Any]]


class NodeAgent:
    """The actor. It is a worker of its node's raylet, so that raylet is its parent process."""

    def __init__(
        self,
        name: str,
        endpoint: ClusterEndpoint,
        nodes: Sequence[RayNode],
        period_s: float,
        asked: Sequence[str],
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._nodes = nodes
        self._period_s = period_s
        self._asked = asked
        self._raylet = os.getppid()
        self._stack = ExitStack()

    def facts(self) -> NodeFacts:
        """Flags, hardware and processes; RuntimeError if the parent is not a raylet."""
        command = procfs.command(self._raylet)
        if not is_raylet(command):
            raise RuntimeError(f"the parent of a worker on {self._name} is not a raylet: {command[:1]}")
        variables = procfs.environ(self._raylet)
        facts = environment.describe()
        return NodeFacts(
            runtime=NodeRuntime(
                node=self._name,
                raylet_pid=self._raylet,
                flags=None if variables is None else found_variables(variables, self._asked),
                transfer_threads=transfer_threads(self._raylet),
            ),
            control_store=self._control_store(),
            hardware={name: facts[name] for name in HARDWARE},
            machine=(
                Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
                Path("/proc/self/ns/pid").stat().st_ino,
            ),
            roots=(self._root(),),
        )

    def _root(self) -> int:
        """``ray start --block``, the ancestor of all processes of a node; the raylet if that has ended."""
        line = procfs.stat(self._raylet)
        parent = line.parent if line else self._raylet
        return parent if is_ray_start(procfs.command(parent)) else self._raylet

    def _control_store(self) -> list[ProcessSettings]:
        below = procfs.descendants(procfs.all_stats(), [self._root()])
        return [
            process_settings.of_process(Role.GCS, self._name, pid, self._asked)
            for pid in sorted(below)
            if is_gcs_server(procfs.command(pid))
        ]

    def clock(self) -> tuple[float, float]:
        """Monotonic and Unix seconds now."""
        return time.monotonic(), time.time()

    def speed(self, before: Speed | None, percent: float) -> Speed:
        """Speed of its machine now; measured again if it differs by more than ``percent`` from ``before``."""
        return speed.measure() if before is None else speed.measure_again(before, percent)

    def begin(self, machine_roots: Sequence[int]) -> None:
        """Sample from now on; with ``machine_roots``, the trial's processes on it, the machine too."""
        self._samplers = (
            NodeSampler(
                self._endpoint, self._nodes, self._period_s, {self._name: self._raylet}, roots=[self._root()]
            ),
            MachineSampler(machine_roots, self._period_s) if machine_roots else None,
        )
        self._kills = procfs.oom_kills()
        self._stalls = StallWatch(f"agent of {self._name}")
        self._stack.enter_context(self._stalls.running())
        for sampler in self._samplers:
            if sampler is not None:
                self._stack.enter_context(sampler.running())

    def end(self) -> AgentSamples:
        """Stop sampling; an error of a sample is raised here."""
        self._stack.close()
        nodes, machines = self._samplers
        kills = procfs.oom_kills()
        counted = machines is not None and kills is not None
        return AgentSamples(
            nodes=nodes.samples,
            machines=machines.samples if machines else [],
            oom_kills=(kills or 0) - (self._kills or 0) if counted else None,
            stall=self._stalls.worst(),
            conditions={
                **conditions.of_node(self._name, self._raylet),
                f"{self._name}{MACHINE}": conditions.of_machine(),
            },
        )
