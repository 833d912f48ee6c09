"""One trial from start to end: knows the order, does none of the work."""

import contextlib
import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vbench import environment, record, rules, summary
from vbench.clusters import local
from vbench.clusters.guard import guarded
from vbench.display import Display
from vbench.errors import InputError, TrialError, VbenchError
from vbench.load.job import PREPARED, Job, Place, write_job
from vbench.schema import Config

LOAD_LOG = "load.log"
RAY_LOG = "ray.log"

NOT_FINGERPRINTED = ("block", "outputs", "tracking")
"""Parts of a configuration that cannot change a result."""


def run_trial(config: Config, folder: Path, swept: Mapping[str, str], display: Display) -> record.Trial:
    """Run one trial into ``folder`` and write its record, whatever happened.

    A trial that fails comes back as a record that is not valid and says why. InputError (what it was given
    cannot be used) and an interrupt are raised, after the record is written.
    """
    phases_s: dict[str, float] = {}
    started = environment.now()
    status: record.Status = "finished"
    error: VbenchError | None = None
    try:
        with display.running():
            _run(config, folder, phases_s, display)
    except VbenchError as failure:
        status, error = "failed", failure
    except BaseException:
        status = "interrupted"
        raise
    finally:
        trial = _record(config, folder, swept, started, status, error, phases_s)
        record.write_json(folder / record.TRIAL, trial)
    if isinstance(error, InputError):
        raise error
    return trial


def _run(config: Config, folder: Path, phases_s: dict[str, float], display: Display) -> None:
    job = Job(config=config, folder=folder.resolve(), place=None)
    local.check(config.cluster)
    with _timed(phases_s, "prepare"):
        display.phase("checking the video")
        _load_step("prepare", job, local.inherited(), display)
    began_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(
            local.start(config.cluster, config.runtime.connections, folder / RAY_LOG, display.phase)
        )
        phases_s["cluster"] = time.monotonic() - began_s
        place = Place(
            address=cluster.address,
            temp_dir=cluster.temp_dir,
            nodes=list(cluster.node_names),
            harness_pid=os.getpid(),
        )
        job = Job(config=config, folder=folder.resolve(), place=place)
        _load_step("drive", job, cluster.load_env, display)
        display.phase("stopping the cluster")
        began_s = time.monotonic()
    phases_s["stop"] = time.monotonic() - began_s


@contextlib.contextmanager
def _timed(phases_s: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    phases_s[name] = time.monotonic() - started


def _load_step(step: str, job: Job, env: Mapping[str, str], display: Display) -> None:
    """Run one step of the load process to its end, showing what it says."""
    command = [sys.executable, "-m", "vbench.load", step, str(write_job(job))]
    log = job.folder / LOAD_LOG
    failure: VbenchError | None = None
    with (
        log.open("ab") as errors,
        guarded(command, env=env, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.guard.stdout is not None
        for line in process.guard.stdout:
            event = json.loads(line)
            if event["event"] == "progress":
                display.phase(event["phase"], event["done"], event["total"], event["note"])
            else:
                kind = InputError if event["bad_input"] else TrialError
                failure = kind(event["message"])
        status = process.guard.wait()
    if failure is not None:
        raise failure
    if status:
        how = f"by signal {status - 128}" if status > 128 else f"with status {status}"
        raise TrialError(f"the load process ended {how} in its step '{step}'; see {log}")


def _record(
    config: Config,
    folder: Path,
    swept: Mapping[str, str],
    started: str,
    status: record.Status,
    error: VbenchError | None,
    phases_s: Mapping[str, float],
) -> record.Trial:
    observed = record.read_observed(folder)
    clip = _clip(folder)
    requests = record.read_requests(folder)
    samples = record.read_samples(folder)
    judged = rules.judge(config.load, observed if status == "finished" else None, requests, samples)
    metrics: dict[str, float] = {}
    if observed is not None and clip is not None:
        metrics = summary.summarize(observed, clip, requests, record.read_spans(folder), samples)
    plain = asdict(config)
    for name in (record.OBSERVED, PREPARED):
        (folder / name).unlink(missing_ok=True)
    return record.Trial(
        trial_id=secrets.token_hex(8),
        arm=" ".join(f"{key}={value}" for key, value in swept.items()),
        swept=swept,
        block=config.block,
        seed=config.load.seed,
        started=started,
        status=status,
        error=str(error) if error else None,
        valid=all(rule.holds for rule in judged),
        rules=judged,
        metrics=metrics,
        phases_s={**phases_s, **(observed.phases_s if observed else {})},
        config=plain,
        config_fingerprint=fingerprint(plain),
        environment=environment.describe(),
        clip=clip,
        observed=observed,
    )


def _clip(folder: Path) -> record.Clip | None:
    path = folder / PREPARED
    return record.Clip(**json.loads(path.read_text())) if path.exists() else None


def fingerprint(config: Mapping[str, Any]) -> str:
    """Equal for configurations that measure the same thing."""
    kept = {name: value for name, value in config.items() if name not in NOT_FINGERPRINTED}
    return hashlib.blake2b(json.dumps(kept, sort_keys=True).encode(), digest_size=8).hexdigest()
