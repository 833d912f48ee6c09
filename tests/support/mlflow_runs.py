"""What MLflow itself says that it holds, asked through its public client."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from vbench.record.files import DATABASE


def client(outputs: Path) -> MlflowClient:
    """Of the database in an outputs folder."""
    return MlflowClient(f"sqlite:///{outputs.resolve() / DATABASE}")


def runs(outputs: Path, experiment: str, where: str = "") -> list[Run]:
    """The runs of an experiment that match MLflow's filter ``where``, the last first."""
    asked = client(outputs)
    found = asked.get_experiment_by_name(experiment)
    assert found is not None, f"there is no experiment {experiment}"
    return list(asked.search_runs([found.experiment_id], where))
