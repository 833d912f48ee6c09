"""One trial from start to end: knows the order, does none of the work."""

import contextlib
import copy
import json
import os
import secrets
import select
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from vbench.analysis.bottleneck import find_bottleneck
from vbench.clusters.attached.validate import ATTACHED
from vbench.clusters.base import ClusterEndpoint
from vbench.clusters.ray_node import inherited
from vbench.clusters.registry import kind
from vbench.config.schema import Config
from vbench.errors import InputError, TrialError, VbenchError
from vbench.linux.guard import GRACE_S, supervised
from vbench.load import disk_room
from vbench.load.pipeline_args import fetched_at_once
from vbench.load.spec import PREPARED, LoadSpec, read_clip, write_spec
from vbench.record import files, ledger
from vbench.record.clip import Clip
from vbench.record.condition_owners import HARNESS, MACHINE
from vbench.record.files import SWEEP
from vbench.record.fingerprint import fingerprint
from vbench.record.harness import Harness
from vbench.record.measurements import read_measurements
from vbench.record.metrics import summarize
from vbench.record.network import Network
from vbench.record.phases import timed
from vbench.record.question import question
from vbench.record.speed_change import is_bounded
from vbench.record.trial import Status, Trial
from vbench.run.progress import Display
from vbench.telemetry import conditions, environment, speed
from vbench.telemetry.machine import MachineSampler
from vbench.telemetry.stall_watch import StallWatch
from vbench.validity import bounds, rules

LOAD_LOG = "load.log"
CRASH = "crash.log"
RAY_LOG = "ray.log"

PREPARE_SILENCE_S = 3600.0
"""The reference pass of a long video says something once a batch of frames."""

NOT_HARNESS_PHASES = ("prepare", "link_check", "warm_up", "settle", "measure", "drain", "link_check_after")
"""Phases that are not the harness's own cost; all else of a trial's time is: metric ``harness_s``. In those
before and after the measured requests it waits for what Ray still moves."""


def run_trial(
    config: Config, folder: Path, swept: Mapping[str, str], display: Display, *, command: Sequence[str]
) -> tuple[Trial, VbenchError | None]:
    """Run one trial into ``folder``, write its record, whatever happened, and say why it failed, if it did.

    A trial that fails has a record that is not valid and says why. An interrupt is raised on, after the
    record is written. ``command``: the arguments of the command line, for the ledger.
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
    except Exception as failure:  # noqa: BLE001 - whatever it is belongs into the record
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
            error = TrialError(f"the record cannot be written: {reason}")
    return trial, error


def _unexpected(failure: Exception, folder: Path) -> TrialError:
    """The failure as a sentence, its traceback beside the record if that can be written."""
    if disk_room.is_disk_full(failure):
        return TrialError(disk_room.disk_full_message(failure, folder))
    with contextlib.suppress(OSError):
        (folder / CRASH).write_text("".join(traceback.format_exception(failure)))
    return TrialError(f"{type(failure).__name__}: {failure}; see {folder / CRASH}")


def _run(config: Config, begun: "TrialInProgress", display: Display) -> None:
    folder, phases_s = begun.folder, begun.phases_s
    clusters = kind(config.cluster.name)
    clusters.check(config)
    job = LoadSpec(config=config, folder=folder.resolve(), place=None)
    with timed(phases_s, "prepare"):
        display.phase("preparing")
        _load_step("prepare", job, inherited(), display)
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
        place = ClusterEndpoint(
            address=cluster.address,
            temp_dir=cluster.temp_dir,
            nodes=list(cluster.nodes),
            links=cluster.network.links if cluster.network else [],
            is_here=cluster.is_here,
        )
        job = LoadSpec(config=config, folder=folder.resolve(), place=place)
        machine = MachineSampler([os.getpid()], config.load.sample_period_s)
        stalls = StallWatch(HARNESS)
        try:
            with machine.running(), stalls.running():
                _load_step(
                    "drive",
                    job,
                    cluster.load_env,
                    display,
                    enter=cluster.enter,
                    grace_s=cluster.load_grace_s,
                    sample_machine=machine.sample_now,
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


def _load_step(
    step: str,
    job: LoadSpec,
    env: Mapping[str, str],
    display: Display,
    *,
    enter: Sequence[str] = (),
    grace_s: float = GRACE_S,
    sample_machine: Callable[[], None] | None = None,
) -> None:
    """Run one step of the load process until it says that it is done, showing what it says.

    ``enter`` stands before its command where it runs on a host of its own; ``grace_s``: what it has to end
    by itself once it is asked to; ``sample_machine`` is called when it asks for a sample of the machine.

    What the process does after that, tearing down what it has imported, is nobody's concern: it is ended.
    """
    command = [*enter, sys.executable, "-m", "vbench.load", step, str(write_spec(job))]
    log = job.folder / LOAD_LOG
    silence_s = _longest_silence_s(step, job.config)
    with (
        log.open("ab") as errors,
        supervised(command, env=env, grace_s=grace_s, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.guard.stdout is not None
        for line in _lines(process.guard.stdout, silence_s, step):
            try:
                event = json.loads(line)
            except ValueError:
                errors.write(line)
                continue
            if event["event"] == "progress":
                display.phase(event["phase"], event["done"], event["total"], event["note"])
            elif event["event"] == "sample":
                assert sample_machine is not None, "only a load that drives asks for samples"
                sample_machine()
            elif event["event"] == "note":
                display.say(f"vbench: {event['message']}", style="yellow")
            elif event["event"] == "done":
                return
            else:
                kind = InputError if event["bad_input"] else TrialError
                raise kind(event["message"])
        status = process.guard.wait()
    number = -status if status < 0 else status - 128
    how = f"by signal {number}" if number > 0 else f"with status {status}"
    raise TrialError(f"the load process ended {how} in its step '{step}'; see {log}")


def _longest_silence_s(step: str, config: Config) -> float:
    """The load process is silent for no longer: what it waits for in a step has such a deadline itself."""
    if step == "prepare":
        return PREPARE_SILENCE_S
    inside = (config.cluster.start_timeout_s, config.cluster.deploy_timeout_s, config.load.timeout_s)
    return max(inside) + 60


def _lines(pipe: IO[bytes], silence_s: float, step: str) -> Iterator[bytes]:
    """Lines from a pipe until its end; TrialError where none comes for ``silence_s``."""
    buffer = b""
    while True:
        if not select.select([pipe], [], [], silence_s)[0]:
            raise TrialError(f"the load process said nothing for {silence_s:g} s in its step '{step}'")
        data = os.read(pipe.fileno(), 65536)
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        yield from (line + b"\n" for line in lines)


@dataclass(slots=True, kw_only=True)
class TrialInProgress:
    """What of the record is known when the trial begins, the code's revision at that moment with it, and
    what the harness sees while it runs."""

    config: Config
    folder: Path
    swept: Mapping[str, str]
    command: Sequence[str]
    """Arguments of the command line, unless a sweep has its own."""
    started: str = field(default_factory=environment.now)
    environment: Mapping[str, Any] = field(default_factory=environment.describe)
    phases_s: dict[str, float] = field(default_factory=dict)
    network: Network | None = None
    harness: Harness = field(default_factory=Harness)
    began_s: float = field(default_factory=time.monotonic)
    trial_id: str = field(default_factory=lambda: secrets.token_hex(8))
    ledger: str | None = None
    """Hash of the line with which the ledger begins it; None until it is written."""

    def enter(self) -> None:
        """Write into the ledger of the outputs folder that the trial has begun."""
        sweep = _sweep_of(self.folder)
        tracking = self.config.tracking
        self.ledger = ledger.append(
            Path(self.config.outputs),
            ledger.BEGUN,
            {
                "trial_id": self.trial_id,
                "at": self.started,
                "sweep_id": str(sweep.get("sweep_id", "")),
                "experiment": "" if tracking.name == "off" else tracking.experiment,
                "folder": str(self.folder.resolve()),
                "arm": self.arm,
                "block": self.config.block,
                "question": question(asdict(self.config)),
                "command": list(sweep.get("arguments", self.command)),
                "code": self.environment["code"],
                "host": self.environment["host"],
            },
        )

    def leave(self, trial: Trial, display: Display) -> None:
        """Write into the ledger that it has ended, and the hashes of what it left."""
        facts = {
            "trial_id": self.trial_id,
            "at": environment.now(),
            "status": trial.status,
            "valid": trial.valid,
            "files": ledger.file_hashes(self.folder),
        }
        try:
            ledger.append(Path(self.config.outputs), ledger.ENDED, facts)
        except OSError as error:
            display.say(
                f"vbench: the end of the trial could not be written to {self.config.outputs}/{ledger.LEDGER}"
                f" ({error.strerror}): comparisons will count it as interrupted. Free some disk space and run"
                f" the trial again.",
                style="red",
            )

    @property
    def arm(self) -> str:
        """What was set, in a line."""
        return " ".join(f"{key}={value}" for key, value in self.swept.items())

    def saw(self, **seen: Any) -> None:
        """Add to what the harness saw."""
        self.harness = replace(self.harness, **seen)

    def end(self, status: Status, error: VbenchError | None) -> Trial:
        """The record, judged, from the files that the load process has left."""
        folder = self.folder
        load_report = files.read_load_report(folder)
        clip = read_clip(folder)
        measured = read_measurements(folder, self.network)
        finished = load_report if status == "finished" else None
        judged = rules.judge(self.config, finished, measured, clip, self.harness)
        metrics: dict[str, float] = {}
        if load_report is not None:
            metrics = summarize(clip, measured, load_report.post_run_bytes)
        phases_s = {**self.phases_s, **(load_report.phases_s if load_report else {})}
        if "latency_mean_s" in metrics:
            spent_s = time.monotonic() - self.began_s
            metrics["harness_s"] = spent_s - sum(phases_s.get(name, 0.0) for name in NOT_HARNESS_PHASES)
        for name in (files.LOAD_REPORT, PREPARED):
            (folder / name).unlink(missing_ok=True)
        plain = asdict(self.config)
        trial = Trial(
            trial_id=self.trial_id,
            arm=self.arm,
            swept=self.swept,
            block=self.config.block,
            seed=self.config.load.seed,
            started=self.started,
            status=status,
            error=str(error) if error else None,
            valid=all(rule.passed for rule in judged),
            rules=judged,
            metrics=metrics,
            phases_s=phases_s,
            config=plain,
            config_fingerprint=fingerprint(plain),
            environment=self.environment,
            clip=clip,
            network=self.network,
            load_report=load_report,
            loosened=tuple(bounds.loosened(plain)),
            harness=self.harness,
            ledger=self.ledger,
        )
        return replace(trial, bottleneck=find_bottleneck(trial, measured))


def _sweep_of(folder: Path) -> Mapping[str, Any]:
    """The plan of the sweep that a trial belongs to; empty if it belongs to none."""
    try:
        plan: Mapping[str, Any] = json.loads((folder.parent / SWEEP).read_text())
    except (OSError, ValueError):
        return {}
    return plan
