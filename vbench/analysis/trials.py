"""Reads the trials to compare from a sweep's folder, or from the runs of an MLflow experiment."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vbench.config.quoting import resume_command
from vbench.errors import ConfigError, TrackingError, first_line, nearest
from vbench.record.files import ARTIFACTS, DATABASE, SWEEP, TRIAL, RecordError, read_trial
from vbench.record.ledger import HASHED
from vbench.record.looks import Look, Looks
from vbench.record.sweep_design import SweepDesign
from vbench.record.trial import Trial
from vbench.record.typed_json import anything, loads, reader
from vbench.tracking.mlflow import unusable_outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingTrial:
    """A trial that was planned or found, but has no readable record."""

    folder: str
    """Its name, or MLflow's run."""
    arm: str
    """Empty if unknown."""
    block: int | None
    settings: Mapping[str, str]
    """What it sets, by the sweep's plan; empty without a plan."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTrial:
    """A trial and its sweep, within whose blocks it is paired."""

    trial: Trial
    sweep: str
    """Empty if there is only one, and for trials that belong to none."""

    @property
    def folder(self) -> Path:
        """Where its record is."""
        return Path(self.trial.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSet:
    """The trials to compare, in order of their start."""

    name: str
    """Of the sweep's folder, or of the experiment."""
    swept: tuple[str, ...]
    """Keys that a sweep varied, without the block."""
    trials: Sequence[SweepTrial]
    """At least one."""
    missing: Sequence[MissingTrial]
    sweep_id: str = ""
    """Empty for an experiment."""
    design: SweepDesign = field(default_factory=SweepDesign)
    """A full one for an experiment."""
    look: Look | None = None
    """That of the sweep with the blocks that are planned so far; None for an experiment."""
    folder: Path = Path()
    """Of the sweep; for an experiment, the outputs folder that holds its database."""


def read_sweep(folder: Path) -> TrialSet:
    """All trials of a sweep; RecordError if the folder is not that of a sweep, or holds no readable trial."""
    plan = _plan(folder)
    trials: list[SweepTrial] = []
    missing: list[MissingTrial] = []
    for planned in plan.trials:
        path = folder / planned.folder
        try:
            trials.append(SweepTrial(trial=read_trial(path), sweep=""))
        except RecordError as error:
            reason = _brief(error, path) if (path / TRIAL).exists() else planned.reason
            missing.append(
                MissingTrial(
                    folder=planned.folder,
                    arm=planned.arm,
                    block=planned.block,
                    settings=planned.settings,
                    reason=reason,
                )
            )
    if not trials:
        bad = next((trial for trial in missing if (folder / trial.folder / TRIAL).exists()), None)
        if bad:
            raise RecordError(f"{folder} holds no readable trial; the first: {bad.reason}")
        raise RecordError(
            f"{folder} holds no trial yet, so there is nothing to compare: run it with"
            f" {resume_command(folder)}"
        )
    return TrialSet(
        name=folder.resolve().name,
        swept=plan.swept,
        trials=_in_order(trials),
        missing=missing,
        sweep_id=plan.sweep_id,
        design=plan.design,
        look=plan.look,
        folder=folder,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What ``sweep.json`` says."""

    swept: tuple[str, ...]
    trials: Sequence[MissingTrial]
    """None of them read yet. For an older sweep, which has no list of them, those that left a record."""
    sweep_id: str
    design: SweepDesign
    look: Look | None


def _plan(folder: Path) -> _Plan:
    """The plan of a sweep; RecordError if the folder holds none that can be read."""
    path = folder / SWEEP
    try:
        plan = anything(loads(path.read_text()))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RecordError(
            f"{folder} holds no {SWEEP}: it is not the folder of a sweep; give one, such as"
            " outputs/sweeps/TIME"
        ) from error
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RecordError(f"{path} is damaged: {error}") from error
    try:
        swept = tuple(str(key) for key in plan["swept"])
        return _Plan(
            swept=swept,
            trials=[_planned(item, swept) for item in plan["trials"]]
            if "trials" in plan
            else _recorded(folder),
            sweep_id=str(plan.get("sweep_id", "")),
            design=reader(SweepDesign)(plan.get("design", {})),
            look=reader(Looks)(plan["looks"]).look(int(plan["blocks"])) if "looks" in plan else None,
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise RecordError(f"{path} is not the plan of a sweep, or of another version of vbench") from error


def _recorded(folder: Path) -> list[MissingTrial]:
    names = sorted(path.parent.name for path in folder.glob(f"*/{TRIAL}"))
    return [MissingTrial(folder=name, arm="", block=None, settings={}, reason="") for name in names]


def _planned(item: Mapping[str, Any], swept: Sequence[str]) -> MissingTrial:
    arm = str(item["arm"])
    return MissingTrial(
        folder=str(item["folder"]),
        arm=arm,
        block=int(item["block"]),
        settings=_settings(arm, swept),
        reason="it left no record",
    )


def _settings(arm: str, swept: Sequence[str]) -> dict[str, str]:
    """Key -> value from an arm's name, ``mode=combined runtime=oss``, for the keys that a sweep can vary."""
    keys = "|".join(re.escape(key) for key in (*swept, "mode", "runtime"))
    settings = {}
    for part in re.split(rf" (?=(?:{keys})=)", arm):
        key, equals, value = part.partition("=")
        if equals:
            settings[key] = value
    return settings


def _brief(error: RecordError, folder: Path) -> str:
    """What is wrong with a record, without its folder."""
    return str(error).replace(f"{folder}/", "")


@contextmanager
def read_experiment(outputs: Path, experiment: str) -> Iterator[TrialSet]:
    """The trials of an MLflow experiment, from the files logged with its runs.

    The files are copied into a temporary folder for the duration of the context. ConfigError if there is no
    such experiment or database, or no readable trial in it; TrackingError if MLflow cannot read it.
    """
    database = outputs / DATABASE
    if not database.exists():
        raise ConfigError(f"{database} does not exist: --outputs names the folder that holds it")
    if (problem := unusable_outputs(outputs)) is not None:
        raise ConfigError(
            f"--outputs {outputs}: {problem}. Move the folder back to where its trials were logged, or"
            " compare the folder of a sweep"
        )
    with tempfile.TemporaryDirectory(prefix="vbench-compare-") as temporary:
        try:
            trials, missing = _download(database, experiment, Path(temporary))
        except (ConfigError, RecordError):
            raise
        except Exception as error:
            raise TrackingError(f"MLflow cannot read {database}: {first_line(error)}") from error
        if not trials:
            why = f"; the first, {missing[0].folder}: {missing[0].reason}" if missing else ""
            raise ConfigError(
                f"the experiment '{experiment}' in {database} has no completely logged, readable trial{why}"
            )
        swept = tuple(
            dict.fromkeys(key for measured in trials for key in measured.trial.swept if key != "block")
        )
        yield TrialSet(
            name=experiment, swept=swept, trials=_in_order(trials), missing=missing, folder=outputs
        )


def _download(database: Path, experiment: str, into: Path) -> tuple[list[SweepTrial], list[MissingTrial]]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{database.resolve()}")
    logged = client.get_experiment_by_name(experiment)
    if logged is None:
        names = [other.name for other in client.search_experiments()]
        raise ConfigError(
            f"there is no experiment '{experiment}' in {database}: {nearest(experiment, names)}"
        )
    trials: list[SweepTrial] = []
    missing: list[MissingTrial] = []
    token = None
    while True:
        page = client.search_runs(
            [logged.experiment_id], "tags.`vbench.logged` = 'whole'", max_results=500, page_token=token
        )
        for run in page:
            try:
                trials.append(_of_run(client, run, into))
            except RecordError as error:
                missing.append(
                    MissingTrial(
                        folder=f"run {run.info.run_id}",
                        arm=run.data.tags.get("vbench.arm", ""),
                        block=None,
                        settings={},
                        reason=_brief(error, into / run.info.run_id),
                    )
                )
        token = page.token
        if not token:
            return trials, missing


def _of_run(client: Any, run: Any, into: Path) -> SweepTrial:
    """The trial of an MLflow run, copied out; RecordError if it cannot be read."""
    folder = into / run.info.run_id
    folder.mkdir()
    logged = {item.path for item in client.list_artifacts(run.info.run_id)}
    if TRIAL not in logged:
        raise RecordError(f"it has no {TRIAL} under {ARTIFACTS}")
    # Everything that rules are judged by and the ledger has hashes of.
    for name in (artifact for artifact in logged if Path(artifact).suffix in HASHED):
        client.download_artifacts(run.info.run_id, name, str(folder))
    return SweepTrial(trial=read_trial(folder), sweep=run.data.tags.get("mlflow.parentRunId", ""))


def _in_order(trials: Sequence[SweepTrial]) -> list[SweepTrial]:
    return sorted(trials, key=lambda measured: measured.trial.started)
