"""Resuming a sweep: which trials are done, which run again, and whether the results stay comparable."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vbench.config.checkout import IS_INSTALLED
from vbench.errors import ConfigError
from vbench.record.clip import Clip
from vbench.record.files import EARLIER, RecordError, read_trial
from vbench.record.fingerprint import NOT_FINGERPRINTED, fingerprint
from vbench.record.trial import Trial
from vbench.run.compose import Composition
from vbench.run.sweep import Planned, Sweep, looks_of, plan
from vbench.telemetry import environment
from vbench.telemetry.environment import MEASURED

START_NEW = "start a new sweep"


def finished(folder: Path, sweep: Sweep) -> dict[str, Trial]:
    """Folder -> record of each trial that finished, valid or not."""
    trials: dict[str, Trial] = {}
    for planned in sweep.trials:
        try:
            trial = read_trial(folder / planned.folder)
        except RecordError:
            continue
        if trial.status == "finished":
            trials[planned.folder] = trial
    return trials


def archive_attempt(folder: Path, planned: Planned) -> None:
    """Move the files of a trial that runs again to ``earlier/``."""
    old = folder / planned.folder
    if not old.exists():
        return
    below = folder / EARLIER
    below.mkdir(exist_ok=True)
    number = 1 + sum(1 for _ in below.glob(f"{planned.folder}-*"))
    old.rename(below / f"{planned.folder}-{number}")


def check_same(folder: Path, sweep: Sweep, composition: Composition, trials: Mapping[str, Trial]) -> None:
    """ConfigError if the remaining trials could not be compared with ``trials``, which are done."""
    same_looks = list(sweep.looks.planned or [sweep.blocks]) == looks_of(composition.configs[0])
    if not same_looks or plan(composition, sweep.sweep_id, sweep.blocks) != sweep.trials:
        raise ConfigError(
            f"resume={folder}: its command now makes other trials, because its study or an option file has"
            f" changed: restore that file, or {START_NEW}."
        )
    configs = {tuple(arm.overrides): arm.config for arm in composition.arms}
    here = environment.describe()
    clips: list[tuple[str, str]] = []
    for planned in sweep.trials:
        if planned.folder not in trials:
            continue
        trial = trials[planned.folder]
        its = f"resume={folder}: trial {planned.folder}"
        _check_environment(its, trial.environment, here)
        config = asdict(configs[tuple(planned.overrides[:-1])])
        if fingerprint(config) != trial.config_fingerprint:
            keys = ", ".join(_differing(config, trial.config))
            raise ConfigError(
                f"{its} was measured with other values of {keys}, so new trials cannot be compared with it:"
                f" restore them in the option files, or {START_NEW}."
            )
        clip = trial.clip
        if clip is not None and (clip.path, clip.fingerprint) not in clips:
            _check_clip(its, clip)
            clips.append((clip.path, clip.fingerprint))


def _check_environment(its: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    from vbench.analysis.comparability import MACHINE, code_keys, code_text

    for name in (*code_keys([was, now]), *MACHINE):
        if was.get(name) == now[name]:
            continue
        before, here = _diff_text(was.get(name), now[name]), _diff_text(now[name], was.get(name))
        remedy = START_NEW
        if name in ("code", "git_revision", "git_clean"):
            remedy = f"{_restore_hint(was, now)}, or {START_NEW}"
        if name == "code":
            before, here = code_text(was), code_text(now)
        raise ConfigError(
            f"{its} was measured with {name} {before}, but here it is {here}, so new trials cannot be"
            f" compared with it: {remedy}."
        )


def _restore_hint(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How to get the code of a trial back."""
    revision = was.get("git_revision")
    if revision and was.get("git_clean") and revision != now["git_revision"]:
        return f"check out {revision}"
    return "install that version again" if IS_INSTALLED else f"restore {', '.join(MEASURED)}"


def _check_clip(its: str, clip: Clip) -> None:
    from vbench.video.digest import file_digest
    from vbench.video.errors import ToolMissingError
    from vbench.video.ffmpeg.executable import ffmpeg_path, ffmpeg_version

    try:
        ffmpeg = ffmpeg_version(ffmpeg_path())
    except ToolMissingError as error:
        raise ConfigError(f"{error}.") from error
    if clip.ffmpeg != ffmpeg:
        raise ConfigError(
            f"{its} was measured with FFmpeg {clip.ffmpeg}, but here it is {ffmpeg}, so new trials cannot be"
            f" compared with it: install that FFmpeg again, or {START_NEW}."
        )
    path = Path(clip.path)
    # A scene whose file is gone is rendered again; a video that is gone is missed by its next trial.
    if path.is_file() and file_digest(path) != clip.fingerprint:
        raise ConfigError(
            f"{its} was measured with a video that {path} no longer holds, so new trials cannot be"
            f" compared with it: restore the file, or {START_NEW}."
        )


def _diff_text(value: object, other: object) -> str:
    """A value; of a mapping only what differs from the other."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items() if v != other.get(k)) or "less"
    return str(value)


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in dict.fromkeys([*one, *other]):
        a, b = one.get(key), other.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differing(a, b, f"{prefix}{key}.")
        elif a != b and not (prefix == "" and key in NOT_FINGERPRINTED):
            yield f"{prefix}{key}"
