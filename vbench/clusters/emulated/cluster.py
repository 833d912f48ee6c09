"""``cluster=emulated``: checks this machine, then starts and ends the emulated cluster."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from vbench.clusters.base import NodeAddress, Progress, RunningCluster
from vbench.clusters.emulated import control, pid_namespace
from vbench.clusters.emulated.nsenter import ENTER
from vbench.clusters.emulated.requirements import Requirement, check_requirements
from vbench.clusters.emulated.topology import OBJECT_MANAGER_PORT, Spec, events, hosts
from vbench.clusters.installation import check_installation
from vbench.clusters.ray_node import (
    haproxy_environment,
    last_error,
    node_environment,
    start_command,
    temp_folder,
)
from vbench.config.app import working_dir
from vbench.config.interpreter import executable_of, import_path
from vbench.config.path_option import usable_outputs
from vbench.config.quoting import override
from vbench.config.schema import ClusterConfig, Config
from vbench.config.sizing import machine_cpus
from vbench.errors import InputError, TrialError
from vbench.linux import procfs
from vbench.linux.guard import SupervisedProcess, supervised
from vbench.linux.proxies import bypassed
from vbench.ray_internals.node import GCS_PORT
from vbench.record.network import LinkCheck, LinkEvent, Network, read_network
from vbench.video.addresses import path_of

NODE_MB = 500
"""Measured requirement of one node beside its object store: Ray's processes and a Serve replica."""

KEPT = 0.1
"""Share of the free memory that is left to other programs."""

SILENCE_S = 60.0
"""Init reports something at least this often, except while Ray starts, which has its own timeout. The longest
step is to check all links, each up to three times."""

ENDING_S = 15.0
"""A cluster whose first process is gone has ended within this time."""

HIDDEN = "/dev/shm"
"""Every host has its own, in which files of the machine's are not visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standalone:
    """What a cluster has that outlives the command that starts it, and belongs to no trial."""

    temp_dir: Path
    """Ray's temp dir, a new name."""
    state_folder: Path
    """Where its owner keeps its state; removed when the cluster ends."""
    lock: int
    """Descriptor that stays open until all of the cluster has ended."""


def all_requirements(cluster: ClusterConfig) -> Iterator[Requirement]:
    """What this cluster requires of the machine and its kernel, each checked now."""
    yield _whole_machine()
    yield _memory(cluster)
    yield from check_requirements(cluster.congestion_control)


def _whole_machine() -> Requirement:
    allowed, there = machine_cpus(), os.cpu_count() or 1
    return Requirement(
        name="all CPUs of the machine",
        is_met=allowed == there,
        observed=f"this process may use {allowed} of {there}",
        remedy=(
            "remove the limit (taskset, or a container's quota): vbench judges by the use of all CPUs whether"
            " the CPUs or the links set the pace"
        ),
    )


def _memory(cluster: ClusterConfig) -> Requirement:
    stores_mb = sum(node.object_store_mb for node in cluster.nodes.values())
    asked_mb = stores_mb + NODE_MB * len(cluster.nodes)
    free_mb = psutil.virtual_memory().available // 10**6
    return Requirement(
        name="free memory",
        is_met=asked_mb <= free_mb * (1 - KEPT),
        observed=(
            f"{len(cluster.nodes)} nodes need up to {asked_mb} MB ({stores_mb} MB of object stores and"
            f" {NODE_MB} MB per node); {free_mb} MB are free, a tenth of which stays free"
        ),
        remedy="stop other programs, lower cluster.nodes.*.object_store_mb, or use fewer nodes",
    )


def check(config: Config) -> None:
    """InputError if this machine cannot run the cluster; leaves nothing running."""
    check_installation()
    cluster = config.cluster
    outputs = f"give another folder, such as {override('outputs', usable_outputs())}"
    paths = [(f"outputs={config.outputs}", Path(config.outputs), outputs)]
    if config.video.path:
        video = path_of(config.video.path)
        paths.append((f"video.path={config.video.path}", video, "copy the video to another folder"))
    for given, path, remedy in paths:
        if path.resolve().is_relative_to(HIDDEN):
            raise InputError(
                f"{given} cannot be inside {HIDDEN}, of which every emulated host has its own: {remedy}."
            )
    missing = next((requirement for requirement in all_requirements(cluster) if not requirement.is_met), None)
    if missing is not None:
        raise InputError(
            f"cluster=emulated cannot run here: {missing.name}: {missing.observed}; {missing.remedy}"
            f" (vbench doctor lists all requirements)."
        )


@contextmanager
def start(
    config: Config, log: Path, progress: Progress, standalone: Standalone | None = None
) -> Iterator[RunningCluster]:
    """All hosts with their links checked and Ray on each; ended, whatever happens, on leaving.

    ``log`` gets what Ray prints. Raises TrialError if a link does not carry what it should, or Ray does
    not come up within ``cluster.start_timeout_s``.
    """
    folder = standalone.temp_dir if standalone else temp_folder(config.runtime)
    spec = _spec(config.cluster, folder, executable_of(config.runtime), is_standalone=standalone is not None)
    env = bypassed(node_environment(config.runtime, working_dir(config)), [host.ip for host in spec.hosts])
    env |= import_path(config.runtime, Path(config.outputs), env)
    env |= haproxy_environment(config.runtime, folder)
    if standalone:
        # Killed processes leave temporary files. Here they go with the host.
        env["TMPDIR"] = str(folder)
    command = [sys.executable, "-m", "vbench.clusters.emulated.init", spec.to_json()]
    with (
        log.open("wb") as output,
        supervised(
            command,
            env=env,
            folders=[folder],
            adopted=[standalone.state_folder] if standalone else [],
            inherited=[standalone.lock] if standalone else [],
            stdout=subprocess.PIPE,
            stderr=output,
            grace_s=0,
        ) as init,
    ):
        ready = _wait(init, config.cluster.start_timeout_s, log, progress)
        pids = _outer_pids(init, ready["pids"], log)
        network = read_network(ready["network"])
        yield RunningCluster(
            address=f"{spec.hosts[0].ip}:{GCS_PORT}",
            temp_dir=str(folder),
            load_env=env,
            exit_status=lambda: _exit_status(init),
            nodes=tuple(NodeAddress(name=host.name, ip=host.ip) for host in spec.hosts),
            enter=(*ENTER, str(pids[spec.hosts[0].name])),
            host_pids=pids,
            network=network,
            recheck_links=lambda: _recheck_links(folder, network),
            begin_events=(lambda at_s: _begin_events(folder, at_s)) if spec.events else None,
            link_check_s=ready["phases_s"]["link_check"],
        )


def _recheck_links(folder: Path, network: Network) -> Network:
    """The network with its links checked once more, which ends Ray; TrialError if they could not be."""
    try:
        reply = control.request(folder, control.CHECK_LINKS, SILENCE_S)
    except OSError as error:
        raise TrialError(_unchecked(str(error))) from error
    if "error" in reply:
        raise TrialError(_unchecked(reply["error"]))
    return replace(
        network,
        checks_after=[LinkCheck(**check) for check in reply["checks"]],
        events=[LinkEvent(**event) for event in reply["events"]],
    )


def _begin_events(folder: Path, at_s: float) -> None:
    """Tell the cluster from when on its events' times count; TrialError if it does not respond."""
    try:
        control.request(folder, control.BEGIN_EVENTS, SILENCE_S, at_s=at_s)
    except OSError as error:
        raise TrialError(f"the emulated cluster did not take the time of its events: {error}") from error


def _unchecked(reason: str) -> str:
    """The error message for links whose rates after the trial are not known."""
    return (
        f"the links could not be checked after the trial ({reason}), so the trial does not count: run it"
        " again; if this repeats, see ray.log in the record's folder"
    )


def _spec(config: ClusterConfig, folder: Path, python: str, *, is_standalone: bool) -> Spec:
    planned = hosts(config)
    head = f"{planned[0].ip}:{GCS_PORT}"
    ports = {"object-manager-port": OBJECT_MANAGER_PORT}
    commands = {
        host.name: (
            *(pid_namespace.COMMAND if is_standalone else ()),
            *start_command(
                config.nodes[host.name],
                ip=host.ip,
                folder=folder,
                head=None if host is planned[0] else head,
                ports=ports | ({"port": GCS_PORT} if host is planned[0] else {}),
                python=python,
                dashboard_port=config.dashboard_port,
                monitors=is_standalone,
            ),
        )
        for host in planned
    }
    return Spec(
        folder=str(folder),
        hosts=hosts(config, commands),
        scale=config.scale,
        congestion_control=config.congestion_control,
        timeout_s=config.start_timeout_s,
        events=events(config),
    )


def _wait(init: SupervisedProcess, timeout_s: float, log: Path, progress: Progress) -> Mapping[str, Any]:
    """Report init's progress until all is ready; TrialError if it fails or stops reporting."""
    pipe = init.guard.stdout
    assert pipe is not None
    buffer = b""
    while True:
        if not select.select([pipe], [], [], timeout_s + SILENCE_S)[0]:
            raise TrialError(
                f"the emulated cluster reported nothing for {timeout_s + SILENCE_S:g} s; see {log}, and raise"
                f" cluster.start_timeout_s on a slow machine"
            )
        data = pipe.read1(65536)  # type: ignore[attr-defined] # a pipe of Popen is a BufferedReader
        if not data:
            raise TrialError(f"the emulated cluster exited while starting: {_why(init, log)}")
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["event"] == "ready":
                return dict(event)
            if event["event"] == "failed":
                raise TrialError(f"the emulated cluster could not be started: {event['message']}; see {log}")
            progress(event["phase"], event.get("done", 0), event.get("total", 0))


def _why(init: SupervisedProcess, log: Path) -> str:
    """Why a cluster exited that did not report a reason itself."""
    status = init.guard.wait()
    if 0 <= status <= 128:
        return last_error(log)
    return f"one of its processes was killed by signal {status - 128 if status > 128 else -status}; see {log}"


def _exit_status(init: SupervisedProcess) -> int | None:
    """The cluster's exit status; None while it runs.

    Processes inside it, such as the load process, end a moment before the cluster. Waits for it, so that a
    caller that noticed their end learns of the cluster's."""
    with suppress(subprocess.TimeoutExpired):
        init.guard.wait(ENDING_S)
    return init.exit_status()


def _outer_pids(init: SupervisedProcess, inner: Mapping[str, int], log: Path) -> dict[str, int]:
    """Host -> the id by which this process knows the process of the host, which the cluster's PID namespace
    knows by another; ``inner``: host -> that other id."""
    levels = {pid: procfs.pids_by_namespace(pid) for pid in init.pids()}
    # Below this process's own namespace is the cluster's; a host's of its own may follow.
    depth = len(procfs.pids_by_namespace(os.getpid()))
    outer = {ids[depth]: pid for pid, ids in levels.items() if len(ids) == depth + 1}
    gone = [name for name, pid in inner.items() if pid not in outer]
    if gone:
        raise TrialError(
            f"host {gone[0]} of the emulated cluster exited while it started: see {log}, and run it again"
        )
    return {name: outer[pid] for name, pid in inner.items()}
