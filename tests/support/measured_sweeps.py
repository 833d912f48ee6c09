"""Sweeps that were planned by a command, and trials of them as this machine and code would have left them."""

from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.records import clip, request, trial
from vbench.record.files import REQUESTS, TRIAL, write_json, write_lines
from vbench.record.fingerprint import fingerprint
from vbench.record.trial import Trial
from vbench.run.compose import Composition, compose_trials
from vbench.run.sweep import Planned, Sweep, create
from vbench.telemetry.environment import describe
from vbench.video.ffmpeg.executable import ffmpeg_path, ffmpeg_version


@cache
def asked(*overrides: str) -> Composition:
    return compose_trials(overrides, multirun=True)


def leave(folder: Path, record: Trial) -> None:
    folder.mkdir()
    write_json(folder / TRIAL, record)
    write_lines(folder / REQUESTS, [request(index) for index in range(3)])


def as_measured(planned: Planned, now: Composition, **changes: Any) -> Trial:
    """A planned trial, as this machine and code would have left it."""
    one = next(arm.config for arm in now.arms if arm.overrides == planned.overrides[:-1])
    plain = asdict(one) | {"block": planned.block}
    record = trial(
        trial_id=planned.folder,
        arm=planned.arm,
        swept=dict(item.split("=") for item in planned.arm.split()),
        block=planned.block,
        config=plain,
        config_fingerprint=fingerprint(plain),
        environment=describe(),
        metrics={"requests": 3.0, "latency_mean_s": 2.0, "latency_p90_s": 2.0, "makespan_s": 4.0},
        clip=replace(clip(), ffmpeg=ffmpeg_version(ffmpeg_path())),
    )
    return replace(record, **changes)


def all_measured(folder: Path, *arguments: str) -> Sweep:
    """A sweep all of whose trials have come to their end, and that was stopped before it said so."""
    sweep = create(folder, asked(*arguments), ["--multirun", *arguments])
    for planned in sweep.trials:
        leave(folder / planned.folder, as_measured(planned, asked(*arguments)))
    return sweep
