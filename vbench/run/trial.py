"""One trial from start to end: prepares, starts the cluster, drives the load, writes the record."""

import contextlib
import copy
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vbench.clusters.attached.validate import ATTACHED
from vbench.clusters.base import ClusterEndpoint
from vbench.clusters.ray_node import inherited
from vbench.clusters.registry import kind
from vbench.config.schema import Config
from vbench.errors import TrialError, VbenchError
from vbench.load import disk_room
from vbench.load.pipeline_args import fetched_at_once
from vbench.load.spec import LoadSpec, read_clip
from vbench.record import files
from vbench.record.clip import Clip
from vbench.record.condition_owners import HARNESS, MACHINE
from vbench.record.phases import timed
from vbench.record.speed_change import is_bounded
from vbench.record.trial import Status, Trial
from vbench.run.load_step import run_load_step
from vbench.run.progress import Display
from vbench.run.trial_in_progress import TrialInProgress
from vbench.telemetry import conditions, speed
from vbench.telemetry.machine import MachineSampler
from vbench.telemetry.stall_watch import StallWatch

CRASH = "crash.log"
RAY_LOG = "ray.log"


def run_trial(
    config: Config, folder: Path, swept: Mapping[str, str], display: Display, *, command: Sequence[str]
) -> tuple[Trial, VbenchError | None]:
    """Run one trial into ``folder`` and write its record; the record, and the error if the trial failed.

    A failed trial has an invalid record with the reason. An interrupt is raised again after the record is
    written. ``command``: the arguments of the command line, for the ledger.
    """
    # A copy: what changes the configuration while the trial runs must not change what it is judged by.
    begun = TrialInProgress(config=copy.deepcopy(config), folder=folder, swept=swept, command=command)
    status: Status = "finished"
    error: VbenchError | None = None
    try:
        begun.enter()
        with disk_room.reserve(folder), display.running():
            _run(config, begun, display)
    except VbenchError as failure:
        status, error = "failed", failure
    except Exception as failure:  # noqa: BLE001 - whatever it is belongs in the record
        status, error = "failed", _unexpected(failure, folder)
    except BaseException:
        status = "interrupted"
        raise
    finally:
        trial = begun.end(status, error)
        try:
            folder.mkdir(parents=True, exist_ok=True)  # somebody may have removed it while the trial ran
            files.write_json(folder / files.TRIAL, trial)
            begun.leave(trial, display)
        except OSError as failure:
            reason = (
                disk_room.disk_full_message(failure, folder)
                if disk_room.is_disk_full(failure)
                else str(failure)
            )
            error = TrialError(
                f"the record cannot be written ({reason}), so the trial does not count: run it again"
            )
    return trial, error


def _unexpected(failure: Exception, folder: Path) -> TrialError:
    """The failure as a sentence, its traceback beside the record if that can be written."""
    if disk_room.is_disk_full(failure):
        return TrialError(disk_room.disk_full_message(failure, folder))
    with contextlib.suppress(OSError):
        (folder / CRASH).write_text("".join(traceback.format_exception(failure)))
    return TrialError(f"{type(failure).__name__}: {failure}; see {folder / CRASH}")


def _run(config: Config, begun: TrialInProgress, display: Display) -> None:
    folder, phases_s = begun.folder, begun.phases_s
    clusters = kind(config.cluster.name)
    clusters.check(config)
    spec = LoadSpec(config=config, folder=folder.resolve(), endpoint=None)
    with timed(phases_s, "prepare"):
        display.phase("preparing")
        run_load_step("prepare", spec, inherited(), display)
    _check_room_for_copies(config, read_clip(folder))
    begun.saw(conditions=_conditions(config))
    if _measures_speed(config):
        display.phase("measuring the machine's speed")
        with timed(phases_s, "speed"):
            begun.saw(speed_before=speed.measure())
    began_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(clusters.start(config, folder / RAY_LOG, display.phase))
        begun.network = cluster.network
        phases_s["link_check"] = cluster.link_check_s
        phases_s["cluster"] = time.monotonic() - began_s - cluster.link_check_s
        endpoint = ClusterEndpoint(
            address=cluster.address,
            temp_dir=cluster.temp_dir,
            nodes=list(cluster.nodes),
            links=cluster.network.links if cluster.network else [],
            is_here=cluster.is_here,
        )
        spec = LoadSpec(config=config, folder=folder.resolve(), endpoint=endpoint)
        machine = MachineSampler([os.getpid()], config.load.sample_period_s)
        stalls = StallWatch(HARNESS)
        try:
            with machine.running(), stalls.running():
                run_load_step(
                    "drive",
                    spec,
                    cluster.load_env,
                    display,
                    enter=cluster.enter,
                    grace_s=cluster.load_grace_s,
                    sample_machine=machine.sample_now,
                    begin_events=cluster.begin_events,
                )
            if cluster.is_here:
                measured = machine.measured()
                files.write_lines(folder / files.MACHINES, measured)
                if measured:
                    begun.saw(stalls=[stalls.worst(measured[0].at_s, measured[-1].at_s)])
            if cluster.recheck_links is not None:
                display.phase("checking the links again")
                with timed(phases_s, "link_check_after"):
                    begun.network = cluster.recheck_links()
        except TrialError as error:
            if cluster.exit_status() is not None:
                status = f"status {cluster.exit_status()}"
                raise TrialError(
                    f"Ray ended with {status} while the trial ran; see {folder / RAY_LOG}"
                ) from error
            raise
        display.phase("stopping the cluster")
        began_s = time.monotonic()
    phases_s["stop"] = time.monotonic() - began_s
    if begun.harness.speed_before is not None:
        display.phase("measuring the machine's speed")
        with timed(phases_s, "speed_after"):
            begun.saw(
                speed_after=speed.measure_again(
                    begun.harness.speed_before, config.load.max_speed_change_percent
                )
            )


def _check_room_for_copies(config: Config, clip: Clip | None) -> None:
    """NoRoomError if the services of a cluster on this machine cannot have all their copies of the video."""
    if config.cluster.name != ATTACHED and clip is not None and clip.address is not None:
        disk_room.check_room_for_copies(fetched_at_once(config), clip)


def _conditions(config: Config) -> dict[str, dict[str, Any]]:
    """The harness's own, and its machine's unless the cluster runs on others."""
    own = {HARNESS: conditions.of_process()}
    is_elsewhere = config.cluster.name == ATTACHED
    return own if is_elsewhere else {**own, f"{HARNESS}{MACHINE}": conditions.of_machine()}


def _measures_speed(config: Config) -> bool:
    """Not that of a machine on which nothing runs but the harness: agents measure those of the nodes."""
    return config.cluster.name != ATTACHED and is_bounded(config.load.max_speed_change_percent)
