"""Agents on the nodes of a cluster that is on other machines: one samples each node.

The load process sees only the machine it runs on. On other clusters it samples all nodes itself
(``NodeSampler``, ``MachineSampler``, the raylets' environment); here an agent does so for its own node, and
returns the samples at the end.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from vbench.clusters.base import ClusterEndpoint, Progress
from vbench.errors import SEE_RAY_LOG, TrialError, last_reason
from vbench.record.harness import Speed, SpeedChange, Stall
from vbench.record.samples import MachineSample, NodeSample
from vbench.record.speed_change import is_bounded
from vbench.telemetry.node_agent import AgentSamples, NodeAgent, NodeFacts
from vbench.telemetry.nodes import RayNode

START_S = 120.0
"""Time within which an agent must be up: its node may have to fetch the package first."""

INSTALL_S = 1800.0
"""The same if its node has to install the dependencies."""

PROGRESS_S = 30.0
"""Progress is reported at least this often."""

RPC_TIMEOUT_S = 60.0

CLOCK_ROUNDS = 8
"""Requests for an agent's clock; the fastest response gives the tightest bound."""


class Agents:
    """One agent on each node of a cluster, and their samples in this process's time."""

    def __init__(
        self,
        endpoint: ClusterEndpoint,
        ids: Mapping[str, str],
        nodes: Sequence[RayNode],
        period_s: float,
        asked: Sequence[str],
        progress: Progress,
        speed_percent: float,
        start_s: float = START_S,
    ) -> None:
        """``ids``: name -> Ray's node id; ``speed_percent``: the bound on changes of the machines' speed.
        TrialError if an agent is not up within ``start_s``."""
        self.samples: list[NodeSample] = []
        self.machines: list[MachineSample] = []
        self.oom_kills: int | None = None
        self.stalls: list[Stall] = []
        self.conditions: dict[str, Mapping[str, Any]] = {}
        self.speeds: dict[str, SpeedChange] = {}
        self._progress = progress
        self._speed_percent = speed_percent
        self._names = [node.name for node in endpoint.nodes]
        actor: Any = ray.remote(num_cpus=0, max_restarts=0)(NodeAgent)
        self._agents: dict[str, Any] = {
            name: actor.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(ids[name], soft=False)
            ).remote(name, endpoint, nodes, period_s, asked)
            for name in self._names
        }
        facts: dict[str, NodeFacts] = self._all("facts", start_s)
        self.runtime = [facts[name].runtime for name in self._names]
        self.control_store = [settings for name in self._names for settings in facts[name].control_store]
        self.hardware = {name: facts[name].hardware for name in self._names}
        clocks = {name: self._clock(name) for name in self._names}
        self._monotonic_off_s = {name: monotonic for name, (monotonic, _) in clocks.items()}
        self.clocks_off_s = {name: unix for name, (_, unix) in clocks.items()}
        self._machines = _machines(facts)
        self._speed_before = self._speed({})

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample all nodes while the block runs."""
        roots = {machine.watcher: machine.roots for machine in self._machines}
        self._all("begin", RPC_TIMEOUT_S, {name: (roots.get(name, ()),) for name in self._names})
        yield
        watched: dict[str, AgentSamples] = self._all("end", RPC_TIMEOUT_S)
        for name, one in watched.items():
            off_s = self._monotonic_off_s[name]
            self.samples += [_shifted(sample, off_s) for sample in one.nodes]
            at_s = one.stall.at_s
            self.stalls.append(replace(one.stall, at_s=None if at_s is None else at_s - off_s))
            self.conditions |= one.conditions
        for machine in self._machines:
            off_s = self._monotonic_off_s[machine.watcher]
            self.machines += [
                replace(sample, at_s=sample.at_s - off_s, machine=machine.name)
                for sample in watched[machine.watcher].machines
            ]
        after = self._speed(self._speed_before)
        self.speeds = {
            machine.name: SpeedChange(before=self._speed_before[watcher], after=after[watcher])
            for machine in self._machines
            if (watcher := machine.watcher) in after
        }
        kills = [watched[machine.watcher].oom_kills for machine in self._machines]
        counted = [count for count in kills if count is not None]
        self.oom_kills = sum(counted) if len(counted) == len(kills) else None

    def _speed(self, before: Mapping[str, Speed]) -> dict[str, Speed]:
        """Watching node -> speed of its machine; empty if no change could break the rule."""
        if not is_bounded(self._speed_percent):
            return {}
        watchers = [machine.watcher for machine in self._machines]
        asked = {watcher: (before.get(watcher), self._speed_percent) for watcher in watchers}
        return self._all("speed", RPC_TIMEOUT_S, asked)

    def _all(
        self, method: str, timeout_s: float, arguments: Mapping[str, tuple[Any, ...]] | None = None
    ) -> dict[str, Any]:
        """Call every agent, or those that ``arguments`` names, at the same time; TrialError for the first
        that fails."""
        asked = dict.fromkeys(self._names, ()) if arguments is None else arguments
        calls = {name: getattr(self._agents[name], method).remote(*given) for name, given in asked.items()}
        answers = {}
        deadline = time.monotonic() + timeout_s
        waiting = list(calls.values())
        while waiting and time.monotonic() < deadline:
            _, waiting = ray.wait(
                waiting, num_returns=len(waiting), timeout=min(PROGRESS_S, deadline - time.monotonic())
            )
            if waiting:
                self._progress("waiting for every node", len(calls) - len(waiting), len(calls))
        for name, call in calls.items():
            if call in waiting:
                raise TrialError(
                    f"{name} could not be sampled: no response within {timeout_s:g} s; use more cores or"
                    " fewer nodes if the machine is overloaded, and run the trial again"
                )
            try:
                answers[name] = ray.get(call)
            except ray.exceptions.RayError as error:
                reason = last_reason(str(error), type(error).__name__)
                raise TrialError(f"{name} could not be sampled: {reason}; {SEE_RAY_LOG}") from error
        return answers

    def _clock(self, name: str) -> tuple[float, float]:
        """How far an agent's two clocks are ahead of ours, assuming that it reads them half-way."""
        rounds = []
        for _ in range(CLOCK_ROUNDS):
            asked, asked_unix = time.monotonic(), time.time()
            monotonic, unix = ray.get(self._agents[name].clock.remote(), timeout=RPC_TIMEOUT_S)
            took_s = time.monotonic() - asked
            rounds.append((took_s, monotonic - asked - took_s / 2, unix - asked_unix - took_s / 2))
        _, monotonic_off_s, unix_off_s = min(rounds)
        return monotonic_off_s, unix_off_s


@dataclass(slots=True, kw_only=True)
class _Machine:
    """A machine with one or more nodes, the first of which samples it."""

    nodes: list[str]
    roots: list[int]

    @property
    def name(self) -> str:
        return "+".join(self.nodes)

    @property
    def watcher(self) -> str:
        return self.nodes[0]


def _machines(facts: Mapping[str, NodeFacts]) -> list[_Machine]:
    machines: dict[tuple[str, int], _Machine] = {}
    for name, one in facts.items():
        machine = machines.setdefault(one.machine, _Machine(nodes=[], roots=[]))
        machine.nodes.append(name)
        machine.roots += one.roots
    return list(machines.values())


def _shifted(sample: NodeSample, off_s: float) -> NodeSample:
    """With times of the harness's clock; the node's is ``off_s`` ahead of it."""
    return replace(sample, at_s=sample.at_s - off_s, began_s=sample.earliest_s - off_s)
