"""``vbench efficiency [FOLDER]``: compares a trial's throughput with the most that this machine can reach.

The baseline decodes and infers the trial's video in a single process on all cores, without Ray.

Exit status: 0 measured; 2 bad input, or a trial that was measured on another machine.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vbench.analysis import bottleneck
from vbench.analysis.comparability import MACHINE
from vbench.config.path_option import path_option
from vbench.config.schema import from_plain
from vbench.config.sizing import machine_cpus
from vbench.errors import ConfigError, InputError, VbenchError
from vbench.load.pipeline_args import pipeline_args
from vbench.load.reference import read_reference
from vbench.load.single_process import SingleProcess, SingleProcessResult
from vbench.models.protocol import ModelError
from vbench.record.clip import Clip
from vbench.record.files import TRIAL, RecordError, read_trial, write_json
from vbench.record.trial import Trial, result_caveats
from vbench.run.progress import Display
from vbench.run.trial_report import show_bottleneck
from vbench.telemetry import environment
from vbench.validity import rule_bounds
from vbench.video.digest import file_digest
from vbench.video.errors import DecoderKilledError, ToolMissingError, VideoError

RUNS = Path("outputs/runs")

LEAST_VIDEOS = 2
"""The first chunks find cold caches, so one short video is not enough."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the baseline, print it and write it if ``--out`` is given; the exit status."""
    try:
        return _run(_parser().parse_args(arguments))
    except KeyboardInterrupt:
        print("vbench: interrupted", file=sys.stderr)
        return 130
    except (VbenchError, RecordError) as error:
        print(f"vbench: {error}", file=sys.stderr)
        return error.exit_status if isinstance(error, VbenchError) else ConfigError.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vbench efficiency",
        description="Compare a trial's throughput with a single-process baseline without Ray, measured now on"
        " the trial's video. Run nothing else meanwhile.",
    )
    parser.add_argument(
        "folder", nargs="?", type=path_option, help=f"a trial's folder (default: the latest in {RUNS})"
    )
    parser.add_argument(
        "--videos",
        type=int,
        metavar="N",
        help="number of videos, one after the other (default: the number of requests of the trial)",
    )
    parser.add_argument("--out", type=path_option, metavar="FILE", help="also write the numbers as JSON")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.videos is not None and options.videos < 1:
        raise ConfigError(f"--videos {options.videos} must be 1 or more")
    trial = read_trial(options.folder or _latest(RUNS))
    clip = _checked(trial)
    display = Display()
    videos = options.videos or max(LEAST_VIDEOS, int(trial.metrics["requests"]))
    with display.running():
        ceiling = measure(trial, clip, videos, display)
    _show(display.console, trial, clip, ceiling)
    if options.out is not None:
        write_json(options.out, _plain(trial, ceiling))
        display.say(f"written    {options.out}")
    return 0


def measure(trial: Trial, clip: Clip, videos: int, display: Display) -> SingleProcessResult:
    """The ceiling for a trial's video and settings.

    InputError if the video cannot be processed, or if the plain process gets other frames than the reference
    pass.
    """
    args = pipeline_args(from_plain(trial.config))
    total = videos * clip.frames_expected
    try:
        display.phase("checking the frames")
        plain = SingleProcess(Path(clip.path), args, workers=machine_cpus())
        if plain.digests() != [frame.digest for frame in read_reference(clip.reference).frames]:
            raise InputError(
                f"the plain process gets other frames of {clip.path} than the reference pass: delete"
                f" {clip.reference} and run the trial again; if that does not help, report the clip"
            )
        return plain.measure(videos, lambda done: display.phase("plain process", done, total))
    except (VideoError, ModelError, ToolMissingError, DecoderKilledError) as error:
        raise InputError(str(error)) from error


def _latest(runs: Path) -> Path:
    folders = sorted(path.parent for path in runs.glob(f"*/{TRIAL}"))
    if not folders:
        raise ConfigError(f"{runs} holds no trial. Name the folder of one, or run vbench first")
    return folders[-1]


def _checked(trial: Trial) -> Clip:
    """The trial's clip; ConfigError if the trial cannot be compared with this machine."""
    clip = trial.clip
    if clip is None:
        raise ConfigError(
            f"{trial.folder} has no video, so there is nothing to decode and infer. Name a trial of another"
            f" load than transfer"
        )
    if "throughput_frames_per_s" not in trial.metrics:
        raise ConfigError(
            f"{trial.folder} has no throughput: not all of its requests were answered. Name a trial that"
            f" passed the rule 'every request was answered'"
        )
    here = environment.describe()
    for name in MACHINE:
        if trial.environment.get(name) != here[name]:
            raise ConfigError(
                f"{trial.folder} was measured with {name}={trial.environment.get(name)}, and here it is"
                f" {here[name]}. Run the trial again on this machine"
            )
    for path, what in ((Path(clip.path), "video"), (Path(clip.reference), "reference pass")):
        if not path.is_file():
            raise ConfigError(f"the {what} of {trial.folder} is missing ({path}). Run the trial again")
    if file_digest(Path(clip.path)) != clip.fingerprint:
        raise ConfigError(f"{clip.path} has changed since {trial.folder} was measured. Run the trial again")
    return clip


def _share(trial: Trial, ceiling: SingleProcessResult) -> float:
    """The service's frames/s over those of the plain process."""
    return trial.metrics["throughput_frames_per_s"] / ceiling.frames_per_s


def _show(console: Console, trial: Trial, clip: Clip, ceiling: SingleProcessResult) -> None:
    console.print(Text(f"{trial.arm}  ({trial.folder})", style="bold"), soft_wrap=True)
    if not trial.valid:
        console.print("the trial is INVALID: the reason is in its trial.json", style="red")
    for caveat in [*result_caveats([trial]), *rule_bounds.caveats([trial])]:
        console.print(caveat, style="yellow", soft_wrap=True)
    table = Table()
    table.add_column(f"{clip.duration_s:g} s of {clip.width} x {clip.height} {clip.codec}")
    for name in ("videos", "frames/s", "video-s/s", "% of ceiling"):
        table.add_column(name, justify="right")
    table.add_row(
        f"one plain process, {ceiling.workers} worker{'s' if ceiling.workers > 1 else ''}",
        str(ceiling.videos),
        f"{ceiling.frames_per_s:.1f}",
        f"{ceiling.video_s_per_s:.1f}",
        "100%",
    )
    table.add_row(
        "the service",
        f"{trial.metrics['requests']:.0f}",
        f"{trial.metrics['throughput_frames_per_s']:.1f}",
        f"{trial.metrics['throughput_video_s_per_s']:.1f}",
        f"{100 * _share(trial, ceiling):.0f}%",
    )
    console.print(table)
    limited_by = bottleneck.of_record(trial, Path(trial.folder))
    if limited_by is not None:
        show_bottleneck(console, limited_by)


def _plain(trial: Trial, ceiling: SingleProcessResult) -> dict[str, Any]:
    """Everything as plain values."""
    limited_by = bottleneck.of_record(trial, Path(trial.folder))
    return {
        "trial": trial.folder,
        "arm": trial.arm,
        "valid": trial.valid,
        "service_frames_per_s": trial.metrics["throughput_frames_per_s"],
        "ceiling_frames_per_s": ceiling.frames_per_s,
        "service_over_ceiling": _share(trial, ceiling),
        "ceiling": asdict(ceiling),
        "bottleneck": None if limited_by is None else asdict(limited_by),
    }
