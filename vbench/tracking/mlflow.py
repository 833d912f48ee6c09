"""MLflow: a run per trial, under a parent run per sweep, from the record's files alone."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from vbench.config.leaves import leaves
from vbench.config.path_option import IN_A_URL, usable_outputs
from vbench.config.quoting import shell_quoted
from vbench.config.runtime_env import recorded_connections
from vbench.config.workload import VIDEO, workload_of_plain
from vbench.errors import TrackingError, first_line
from vbench.linux.file_lock import locked
from vbench.record.files import ARTIFACTS, DATABASE, SWEEP, RecordError, read_requests, read_trial
from vbench.record.quantiles import supported
from vbench.record.trial import Trial
from vbench.validity.rule_bounds import loosened

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

COMPARISON = "comparison"
"""Folder of a sweep's run with the files of its comparison."""

VIEW = "vbench"
"""Key of the view that the UI's link opens."""

VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""Where MLflow keeps a shared view: a tag of the experiment (MLflow 3.17, under Views in its UI)."""

VIEW_STATE = {
    "searchFilter": "params.runtime LIKE '%'",  # sweeps' own runs have none
    # In any order but by time trials are rows of their own, not folded up under their sweep.
    "orderByKey": "tags.`mlflow.runName`",
    "orderByAsc": True,
    "selectedColumns": [
        *(f"params.`{name}`" for name in ("mode", "runtime", "connections", "block")),
        "metrics.`latency_mean_s`",
        "tags.`vbench.valid`",
    ],
}
"""Columns of the table of runs that distinguish trials."""

LOCK = ".mlflow.lock"
LOCK_S = 600.0
"""One process may log many trials before another one's turn."""

BATCH = 100
"""Most params or metrics that MLflow takes in one call."""

LONGEST_PARAM = 6000


def unusable_outputs(outputs: Path) -> str | None:
    """Why MLflow's database cannot be in ``outputs``, as a clause; None if it can."""
    whole = outputs.resolve()
    sign = IN_A_URL.search(str(whole))
    if sign is None:
        return None
    return f"{whole} has {sign[0]!r} in its path, and MLflow would open another database"


def _client(database: Path) -> Any:
    """MLflow's client of a SQLite database, made first if it is not there.

    A new one is migrated under another name and moved, so that nobody finds a part of it, not even after a
    kill.
    """
    from mlflow import MlflowClient

    if not database.exists():
        making = database.with_name(f".making-{os.getpid()}-{database.name}")
        try:
            MlflowClient(tracking_uri=f"sqlite:///{making}").search_experiments(max_results=1)
            making.replace(database)
        finally:
            for left in making.parent.glob(f"{making.name}*"):
                left.unlink()
    return MlflowClient(tracking_uri=f"sqlite:///{database}")


class Tracker:
    """Logs records into one MLflow database under the outputs folder."""

    def __init__(self, outputs: Path, experiment: str) -> None:
        """Opens or makes ``outputs/mlflow.db``; TrackingError if MLflow cannot.

        Several processes may do so at a time: one after the other opens and writes the database.
        """
        if (problem := unusable_outputs(outputs)) is not None:
            option = shell_quoted(f"--outputs={usable_outputs()}")
            raise TrackingError(f"{problem}: give a folder without ? # % in its path, such as {option}")
        self._lock = outputs.resolve() / LOCK
        with _named(f"MLflow cannot open {outputs / DATABASE}"):
            outputs.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._client = _client(outputs.resolve() / DATABASE)
                logged = self._client.get_experiment_by_name(experiment)
                self._experiment = (
                    logged.experiment_id
                    if logged
                    else self._client.create_experiment(
                        experiment, artifact_location=(outputs.resolve() / ARTIFACTS).as_uri()
                    )
                )
                self._share_view()

    def _alone(self) -> AbstractContextManager[None]:
        """No other process of vbench writes the database in this block: SQLite has one writer at a time, and
        MLflow gives up after a few seconds."""
        return locked(self._lock, LOCK_S)

    def _share_view(self) -> None:
        """Let the UI show trials one by one, with their columns; a view that is there is left as it is."""
        if VIEW_TAG in self._client.get_experiment(self._experiment).tags:
            return
        now_ms = int(time.time() * 1000)
        view = {"name": "trials", "createdAt": now_ms, "updatedAt": now_ms, "state": json.dumps(VIEW_STATE)}
        self._client.set_experiment_tag(self._experiment, VIEW_TAG, json.dumps(view))

    def log(self, folder: Path) -> bool:
        """Log the trial in ``folder``; False if it was logged before. TrackingError if MLflow cannot."""
        trial = read_trial(folder)
        with _named(f"MLflow cannot log {folder}"), self._alone():
            for earlier in self._find(f"tags.`vbench.trial_id` = '{trial.trial_id}'"):
                if earlier.data.tags.get("vbench.logged") == "whole":
                    return False
                self._client.delete_run(earlier.info.run_id)  # logging it broke off half-way
            started_ms = _unix_ms(trial.started)
            run = self._client.create_run(
                self._experiment, started_ms, self._tags(trial, folder), run_name=trial.arm
            ).info.run_id
            self._params(run, trial)
            self._metrics(run, trial, folder)
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    parent = path.parent.relative_to(folder)
                    self._client.log_artifact(run, str(path), None if parent == Path() else str(parent))
            self._client.set_tag(run, "vbench.logged", "whole")
            status = "FINISHED" if trial.status == "finished" else "FAILED"
            took_ms = int(1000 * sum(trial.phases_s.values()))
            self._client.set_terminated(run, status, started_ms + took_ms)
        return True

    def log_comparison(self, sweep_folder: Path, files: Sequence[Path], metrics: Mapping[str, float]) -> None:
        """Log a comparison's files and metrics to the sweep's own run, in place of an earlier one's.

        TrackingError if MLflow cannot, RecordError if ``sweep_folder`` is not that of a sweep.
        """
        from mlflow.entities import Metric

        path = sweep_folder / SWEEP
        if not path.exists():
            raise RecordError(f"{sweep_folder} holds no {SWEEP}: it is not the folder of a sweep")
        with _named(f"MLflow cannot log the comparison of {sweep_folder}"), self._alone():
            run = self._parent(json.loads(path.read_text()))
            for file in files:
                self._client.log_artifact(run, str(file), COMPARISON)
            now_ms = int(time.time() * 1000)
            logged = [Metric(name, value, now_ms, 0) for name, value in metrics.items()]
            for start in range(0, len(logged), BATCH):
                self._client.log_batch(run, metrics=logged[start : start + BATCH])

    @property
    def runs_page(self) -> str:
        """Path of the page in MLflow's UI that lists the trials with the columns that distinguish them."""
        return f"#/experiments/{self._experiment}/runs?viewStateShareKey={VIEW}"

    def _find(self, where: str) -> list[Any]:
        return list(self._client.search_runs([self._experiment], where, max_results=1))

    def _tags(self, trial: Trial, folder: Path) -> dict[str, str]:
        tags = {
            "vbench.trial_id": trial.trial_id,
            "vbench.arm": trial.arm,
            "vbench.valid": str(trial.valid).lower(),
            "vbench.loosened": "; ".join(loosened(trial.config)),
            "vbench.status": trial.status,
            "vbench.record": str(folder.resolve()),
            "mlflow.source.name": "python -m vbench",
            "mlflow.source.git.commit": str(trial.environment.get("git_revision")),
        }
        broken = [rule.line for rule in trial.broken]
        if broken or trial.error:
            tags["mlflow.note.content"] = "\n\n".join(["Invalid.", *broken, trial.error or ""])
        sweep = folder.parent / SWEEP
        if sweep.exists():
            tags["mlflow.parentRunId"] = self._parent(json.loads(sweep.read_text()))
        return tags

    def _parent(self, sweep: Mapping[str, Any]) -> str:
        """The sweep's own run, created if it does not exist yet."""
        runs = self._find(f"tags.`vbench.sweep_id` = '{sweep['sweep_id']}'")
        if runs:
            return str(runs[0].info.run_id)
        run = self._client.create_run(
            self._experiment,
            _unix_ms(sweep["started"]),
            {"vbench.sweep_id": sweep["sweep_id"], "vbench.arguments": " ".join(sweep["arguments"])},
            run_name=f"sweep of {', '.join(sweep['swept'])} ({sweep['started']})",
        )
        self._client.set_terminated(run.info.run_id, "FINISHED")
        return str(run.info.run_id)

    def _params(self, run: str, trial: Trial) -> None:
        from mlflow.entities import Param

        # mode and runtime first, under plain names: they are what runs are compared by.
        runtime, config = trial.config["runtime"], dict(trial.config)
        mode = config.pop("mode")
        plain = {
            **({"mode": mode} if workload_of_plain(trial.config) == VIDEO else {}),
            "runtime": runtime["name"],
            "connections": recorded_connections(runtime),
            "block": trial.block,
            "config_fingerprint": trial.config_fingerprint,
        }
        plain |= {key: value for key, value in leaves(config) if key not in plain}
        plain |= {f"environment.{key}": value for key, value in leaves(trial.environment)}
        params = [Param(key, str(value)[:LONGEST_PARAM]) for key, value in plain.items()]
        for start in range(0, len(params), BATCH):
            self._client.log_batch(run, params=params[start : start + BATCH])

    def _metrics(self, run: str, trial: Trial, folder: Path) -> None:
        from mlflow.entities import Metric

        now_ms = _unix_ms(trial.started)
        requests = trial.metrics.get("requests", 0)
        metrics = [
            Metric(name, value, now_ms, 0)
            for name, value in trial.metrics.items()
            if supported(name, requests)  # older records have quantiles of a few requests
        ]
        metrics += [Metric(f"phase_{name}_s", value, now_ms, 0) for name, value in trial.phases_s.items()]
        metrics += [
            Metric("request_latency_s", request.latency_s, int(request.sent_unix_s * 1000), request.index)
            for request in read_requests(folder)
            if request.error is None
        ]
        for start in range(0, len(metrics), BATCH):
            self._client.log_batch(run, metrics=metrics[start : start + BATCH])


class _named:  # noqa: N801 - reads as a statement: with _named(...)
    """Turns whatever MLflow or its database raises into a TrackingError that says what was tried."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, RecordError):
            raise TrackingError(f"{self._what}: {first_line(error)}") from error


def _unix_ms(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1000)
