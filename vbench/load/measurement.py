"""The work around the requests of any load: connect, name the nodes, sample them, write the record."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import ray

from vbench.clusters.attached.validate import PIP
from vbench.clusters.base import ClusterEndpoint
from vbench.config.arrivals import planned_requests
from vbench.config.runtime_env import expected_connections, variables_of, variables_text
from vbench.errors import InputError, TrialError
from vbench.linux import procfs
from vbench.load.events import emit, progress
from vbench.load.spec import LoadSpec
from vbench.ray_internals.setting_signs import signs_of
from vbench.record import clock_skew
from vbench.record.calls import Call
from vbench.record.condition_owners import LOAD
from vbench.record.files import CALLS, LOAD_REPORT, MACHINES, NODES, REQUESTS, SPANS, write_json, write_lines
from vbench.record.harness import Stall
from vbench.record.load_report import AppReport, Graph, LoadReport, NodeRuntime, ProcessSettings, SettingSign
from vbench.record.phases import timed
from vbench.record.requests import Request, SpanLine
from vbench.record.samples import NodeSample
from vbench.telemetry import conditions, connections, process_settings, raylet_flags
from vbench.telemetry.link_idle import LinkIdle, wait_until_idle
from vbench.telemetry.nodes import NodeSampler, ray_nodes
from vbench.telemetry.setting_signs import setting_signs
from vbench.telemetry.stall_watch import StallWatch

if TYPE_CHECKING:
    from vbench.telemetry.node_agents import Agents

POLL_S = 0.05


class Observation:
    """One load on one running cluster, from the connection to ``load_report.json``.

    In this order: make it (which connects this process to Ray), ``phase`` for each phase before the measured
    one, ``measuring`` around the measured requests, ``write``.
    """

    def __init__(self, job: LoadSpec) -> None:
        assert job.endpoint is not None, "a load needs a cluster"
        self._job = job
        self.endpoint = job.endpoint
        self._asked = variables_of(job.config.runtime)
        self.phases_s: dict[str, float] = {}
        self._samples: list[NodeSample] = []
        self._flags: list[NodeRuntime] = []
        self._settings: list[ProcessSettings] = []
        self._signs: list[SettingSign] = []
        self._oom_kills: int | None = None
        self._stalls: list[Stall] = []
        self._conditions: dict[str, Mapping[str, Any]] = {}
        self._idle_before: LinkIdle | None = None
        self._idle_after: LinkIdle | None = None
        with self.phase("connect"):
            progress("connecting to Ray")
            ray.init(address=job.endpoint.address, logging_level="ERROR", log_to_driver=False)
            self.names = _node_names(job.endpoint, job.config.cluster.start_timeout_s)
            self._agents = None if job.endpoint.is_here else self._start_agents()
        """The names of the configuration by Ray's node ids."""

    def _start_agents(self) -> "Agents":
        """Agents on the nodes of an attached cluster; InputError if its runtime variables are not those
        asked for."""
        from vbench.telemetry.node_agents import INSTALL_S, START_S, Agents

        progress("starting an agent on every node")
        ids = {name: node_id for node_id, name in self.names.items()}
        start_s = INSTALL_S if self._job.config.cluster.dependencies == PIP else START_S
        load = self._job.config.load
        agents = Agents(
            *(self.endpoint, ids, ray_nodes(ray.nodes()), load.sample_period_s, tuple(self._asked)),
            progress=progress,
            speed_percent=load.max_speed_change_percent,
            start_s=start_s,
        )
        for raylet in agents.runtime:
            if raylet.flags is not None and dict(raylet.flags) != self._asked:
                raise InputError(
                    f"runtime={self._job.config.runtime.name} does not match this cluster: the raylet on"
                    f" {raylet.node} has {variables_text(raylet.flags)}, but the trial needs"
                    f" {variables_text(self._asked)}. A raylet reads its settings once: restart the"
                    " cluster with them, or use the runtime that it has."
                )
        if (apart_s := clock_skew.apart_s(agents.clocks_off_s)) > clock_skew.MOST_APART_S:
            raise InputError(
                f"the clocks of the cluster's nodes differ by {1000 * apart_s:.0f} ms, but spans from one"
                f" node to another need {1000 * clock_skew.MOST_APART_S:g} ms or less: synchronise them"
                " (chrony, NTP)."
            )
        return agents

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Time a block as a phase of the trial."""
        return timed(self.phases_s, name)

    @contextmanager
    def measuring(self, workers: Mapping[str, Any] | None = None) -> Iterator[None]:
        """Sample nodes and machine while the block, which is the phase ``measure``, sends its requests.

        ``workers``: node -> handle of an actor of the load that is none of Serve's.

        On an emulated cluster the links are idle when it begins (phase ``settle``), and traffic after the
        last response is drained and counted (phase ``drain``).
        """
        with self.phase("settle"):
            self._idle_before = self._wait_for_idle_links()
        watching = self._sample_remotely if self._agents else self._sample_locally
        with watching():
            yield
        if self._job.config.runtime.env:
            self._settings = self._find_settings(workers or {})
            wanted = signs_of(self._job.config.runtime.env)
            self._signs = setting_signs(wanted, self.names, self._flags)

    @contextmanager
    def _sample_locally(self) -> Iterator[None]:
        endpoint = self.endpoint
        raylets = raylet_flags.raylet_of_each(endpoint)
        period_s = self._job.config.load.sample_period_s
        sampler = NodeSampler(endpoint, ray_nodes(ray.nodes()), period_s, raylets)
        kills = procfs.oom_kills()
        client = StallWatch("client")
        with self.phase("measure"), sampler.running(), client.running():
            emit({"event": "measuring", "at_s": time.monotonic()})
            emit({"event": "sample"})
            yield
            emit({"event": "sample"})
        self._stalls = [client.worst()]
        self._conditions = {LOAD: conditions.of_process()}
        for name, pid in raylets.items():
            self._conditions |= conditions.of_node(name, pid)
        with self.phase("drain"):
            self._idle_after = self._wait_for_idle_links()
        self._oom_kills = None if kills is None else (procfs.oom_kills() or 0) - kills
        self._samples = sampler.samples
        self._flags = raylet_flags.raylet_flags(endpoint.temp_dir, endpoint.nodes, self._asked)

    @contextmanager
    def _sample_remotely(self) -> Iterator[None]:
        assert self._agents is not None, "nodes elsewhere have agents"
        client = StallWatch("client")
        with self.phase("measure"), self._agents.running(), client.running():
            yield
        self._stalls = [client.worst(), *self._agents.stalls]
        self._conditions = {LOAD: conditions.of_process(), **self._agents.conditions}
        self._oom_kills = self._agents.oom_kills
        self._samples = self._agents.samples
        self._flags = self._agents.runtime

    @property
    def clocks_off_s(self) -> Mapping[str, float]:
        """Node -> how far its clock is ahead of this process's, in s; empty if all share one."""
        return self._agents.clocks_off_s if self._agents else {}

    def _find_settings(self, workers: Mapping[str, Any]) -> list[ProcessSettings]:
        """Every process that may read a variable of ``runtime.env``, and those that it has."""
        head = self.endpoint.nodes[0]
        control_store = (
            self._agents.control_store
            if self._agents
            else process_settings.of_control_store(self.endpoint.temp_dir, head, self._asked)
        )
        return [
            *process_settings.of_raylets(self._flags),
            *control_store,
            *process_settings.of_actors(self.names, workers, self._asked),
            process_settings.of_this_process(head.name, self._asked),
        ]

    def _wait_for_idle_links(self) -> LinkIdle | None:
        """Wait until the links are idle; TrialError if they do not become so. None if there are no links."""
        if not self.endpoint.links:
            return None
        progress("waiting for idle links")
        pids = raylet_flags.raylet_of_each(self.endpoint)
        return wait_until_idle(self.endpoint.links, pids, self._job.config.load.timeout_s)

    def write(
        self,
        *,
        requests: Sequence[Request],
        spans: Iterable[SpanLine],
        moved_bytes: Mapping[tuple[str, str], int] | None,
        placement: Mapping[str, Mapping[str, int]],
        cold: list[str] | None,
        graph: Graph | None = None,
        app: AppReport | None = None,
        calls: Sequence[Call] | None = None,
    ) -> None:
        """Write the record's lines and ``load_report.json`` into the job's folder.

        ``moved_bytes``: (sender, receiver) -> bytes of frames or objects that had to go this way since the
        cluster is up, warm-up included; the connections between just these nodes are counted. None if that is
        not known: those of the object managers count. ``cold``:
        deployments of which a replica saw no warm-up request. ``calls``: of an application's deployments.
        """
        config, folder = self._job.config, self._job.folder
        write_lines(folder / REQUESTS, requests)
        write_lines(folder / SPANS, spans)
        write_lines(folder / NODES, self._samples)
        if calls is not None:
            write_lines(folder / CALLS, calls)
        load_report = LoadReport(
            ray_version=ray.__version__,
            ray_commit=ray.__commit__,
            phases_s=self.phases_s,
            flags_requested=self._asked,
            flags_found=self._flags,
            settings_found=self._settings,
            setting_signs=self._signs,
            placement=placement,
            connections=connections.connections(
                expected_connections(self._asked),
                connections.moved_by_object_managers(self._samples) if moved_bytes is None else moved_bytes,
                self._samples,
            ),
            cold_deployments=cold,
            post_run_bytes=self._idle_after.sent_bytes if self._idle_after else {},
            oom_kills=self._oom_kills,
            unsent_requests=planned_requests(config) - len(requests),
            graph=graph,
            app=app,
            hardware=self._agents.hardware if self._agents else {},
            clocks_off_s=self.clocks_off_s,
            stalls=self._stalls,
            conditions=self._conditions,
            speeds=self._agents.speeds if self._agents else {},
        )
        if self._agents:
            write_lines(folder / MACHINES, self._agents.machines)
        write_json(folder / LOAD_REPORT, load_report)


def _node_names(endpoint: ClusterEndpoint, timeout_s: float) -> dict[str, str]:
    """Ray's node id -> name; a node that has just started may not be known to the others for a moment.

    TrialError if one of ``endpoint`` is not there within ``timeout_s``.
    """
    by_ip = {node.ip: node.name for node in endpoint.nodes}
    deadline = time.monotonic() + timeout_s
    while True:
        alive = [node for node in ray.nodes() if node["Alive"]]
        names = {
            node["NodeID"]: by_ip.get(node["NodeManagerAddress"], node["NodeManagerAddress"])
            for node in alive
        }
        missing = [node.name for node in endpoint.nodes if node.name not in names.values()]
        if not missing:
            return names
        if time.monotonic() > deadline:
            raise TrialError(
                f"{', '.join(missing)} did not join the cluster within cluster.start_timeout_s={timeout_s:g}:"
                " raise it on a slow machine, or look for the reason in ray.log in the record's folder"
            )
        time.sleep(POLL_S)
