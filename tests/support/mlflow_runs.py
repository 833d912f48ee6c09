"""What MLflow itself says that it holds, asked through its public client."""

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
