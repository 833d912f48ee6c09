"""What MLflow itself says that it holds, asked through its public client, and databases without anything."""

import functools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from vbench.record.files import DATABASE

if TYPE_CHECKING:  # it takes seconds, and every worker of pytest-xdist collects those who ask
    from mlflow import MlflowClient
    from mlflow.entities import Run


def client(outputs: Path) -> "MlflowClient":
    """Of the database in an outputs folder."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{outputs.resolve() / DATABASE}")


def runs(outputs: Path, experiment: str, where: str = "") -> "list[Run]":
    """The runs of an experiment that match MLflow's filter ``where``, the last first."""
    asked = client(outputs)
    found = asked.get_experiment_by_name(experiment)
    assert found is not None, f"there is no experiment {experiment}"
    return list(asked.search_runs([found.experiment_id], where))


def with_database(outputs: Path) -> Path:
    """The folder, with MLflow's database in it as MLflow leaves a new one, whose 40 migrations take seconds:
    for tests of what comes after them."""
    outputs.mkdir(exist_ok=True)
    shutil.copyfile(Path(_made().name) / DATABASE, outputs / DATABASE)
    return outputs


@functools.cache
def _made() -> "tempfile.TemporaryDirectory[str]":
    folder = tempfile.TemporaryDirectory(prefix="vbench-mlflow-")
    client(Path(folder.name)).search_experiments()
    return folder
