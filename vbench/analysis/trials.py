"""Reads the trials that shall be compared: of a sweep's folder, or of an MLflow experiment's runs."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vbench.errors import ConfigError, TrackingError
from vbench.names import nearest
from vbench.record import MACHINES, NODES, REQUESTS, SPANS, TRIAL, RecordError, Trial, read_trial
from vbench.tracking import ARTIFACTS, DATABASE, SWEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A trial that a sweep planned, and that left no record."""

    folder: str
    arm: str
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A trial, and the sweep within whose blocks it is paired."""

    trial: Trial
    sweep: str
    """Empty where there is but one, and for trials that belong to none."""

    @property
    def folder(self) -> Path:
        """Where its lines are."""
        return Path(self.trial.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The trials to compare, in the order in which they were started."""

    name: str
    """Of the sweep's folder, or of the experiment."""
    swept: tuple[str, ...]
    """Keys that a sweep varied, the block left out."""
    trials: Sequence[Measured]
    missing: Sequence[Planned]


def read_sweep(folder: Path) -> Found:
    """All trials of a sweep; RecordError where the folder holds none, or one that cannot be read."""
    path = folder / SWEEP
    try:
        plan = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise RecordError(f"{folder} holds no {SWEEP}: it is not the folder of a sweep") from error
    except ValueError as error:
        raise RecordError(f"{path} is damaged: {error}") from error
    planned = plan.get("trials")
    if planned is None:
        folders = sorted(path.parent for path in folder.glob(f"*/{TRIAL}"))
    else:
        folders = [folder / str(item["folder"]) for item in planned]
    here = [each for each in folders if (each / TRIAL).exists()]
    if not here:
        raise RecordError(f"{folder} holds no trial yet: there is nothing to compare")
    missing = [
        Planned(folder=str(item["folder"]), arm=item["arm"], block=item["block"])
        for item in planned or []
        if not (folder / str(item["folder"]) / TRIAL).exists()
    ]
    trials = [Measured(trial=read_trial(each), sweep="") for each in here]
    return Found(
        name=folder.resolve().name, swept=tuple(plan["swept"]), trials=_in_order(trials), missing=missing
    )


@contextmanager
def read_experiment(outputs: Path, experiment: str) -> Iterator[Found]:
    """The trials that MLflow has of an experiment, from the files logged with its runs.

    The files are copied out for as long as the context lasts. ConfigError where there is no such experiment
    or database, TrackingError where MLflow cannot read it.
    """
    database = outputs / DATABASE
    if not database.exists():
        raise ConfigError(f"{database} does not exist: --outputs names the folder that holds it")
    with tempfile.TemporaryDirectory(prefix="vbench-compare-") as temporary:
        try:
            trials = _download(database, experiment, Path(temporary))
        except (ConfigError, RecordError):
            raise
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise TrackingError(f"MLflow cannot read {database}: {first}") from error
        if not trials:
            raise ConfigError(
                f"the experiment '{experiment}' in {database} has no trial that is logged whole"
            )
        swept = tuple(dict.fromkeys(key for each in trials for key in each.trial.swept if key != "block"))
        yield Found(name=experiment, swept=swept, trials=_in_order(trials), missing=[])


def _download(database: Path, experiment: str, into: Path) -> list[Measured]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{database.resolve()}")
    found = client.get_experiment_by_name(experiment)
    if found is None:
        names = [each.name for each in client.search_experiments()]
        raise ConfigError(
            f"there is no experiment '{experiment}' in {database}: {nearest(experiment, names)}"
        )
    trials, token = [], None
    while True:
        page = client.search_runs(
            [found.experiment_id], "tags.`vbench.logged` = 'whole'", max_results=500, page_token=token
        )
        for run in page:
            folder = into / run.info.run_id
            folder.mkdir()
            logged = {item.path for item in client.list_artifacts(run.info.run_id)}
            for name in logged & {TRIAL, REQUESTS, SPANS, NODES, MACHINES}:
                client.download_artifacts(run.info.run_id, name, str(folder))
            if TRIAL not in logged:
                raise RecordError(f"MLflow's run {run.info.run_id} has no {TRIAL} under {ARTIFACTS}")
            sweep = run.data.tags.get("mlflow.parentRunId", "")
            trials.append(Measured(trial=read_trial(folder), sweep=sweep))
        token = page.token
        if not token:
            return trials


def _in_order(trials: Sequence[Measured]) -> list[Measured]:
    return sorted(trials, key=lambda each: each.trial.started)
