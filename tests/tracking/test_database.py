"""A database that MLflow could not log to is noticed before anything is measured."""

import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from vbench.errors import ConfigError
from vbench.record.files import DATABASE
from vbench.run.preflight import check_outputs
from vbench.tracking.database import unusable_database
from vbench.tracking.mlflow import Tracker

EXPERIMENT = "vbench"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database of the installed MLflow."""
    outputs = tmp_path_factory.mktemp("made")
    Tracker(outputs, EXPERIMENT)
    return (outputs / DATABASE).read_bytes()


def edited(statement: str) -> Callable[[Path, bytes], object]:
    def damage(path: Path, made: bytes) -> None:
        path.write_bytes(made)
        with closing(sqlite3.connect(path)) as opened, opened:
            opened.execute(statement)

    return damage


DAMAGES: dict[str, tuple[Callable[[Path, bytes], object], str]] = {
    "a folder": (lambda path, _: path.mkdir(), "is no regular file"),
    "a dangling link": (lambda path, _: path.symlink_to("/nowhere/db"), "is no regular file"),
    "a pipe": (lambda path, _: os.mkfifo(path), "is no regular file"),
    "text": (lambda path, _: path.write_text("MLflow was here"), "is no SQLite database"),
    "cut short": (lambda path, made: path.write_bytes(made[:5000]), "is damaged"),
    "overwritten": (lambda path, made: path.write_bytes(made[:100] + bytes(len(made) - 100)), "is damaged"),
    "another program's": (edited("DROP TABLE experiments"), "is not a database of MLflow"),
    "of a newer MLflow": (edited("UPDATE alembic_version SET version_num = 'f00'"), "is of a newer MLflow"),
    "of an older MLflow": (
        edited("UPDATE alembic_version SET version_num = '451aebb31d03'"),
        "python -m mlflow db upgrade sqlite:///",
    ),
    "deleted": (
        edited("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'vbench'"),
        "experiments restore --experiment-id 1",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_database_that_cannot_be_used_is_named_with_a_remedy(
    name: str, made: bytes, tmp_path: Path
) -> None:
    damage, said = DAMAGES[name]
    damage(tmp_path / DATABASE, made)
    with pytest.raises(ConfigError) as caught:
        check_outputs(tmp_path, tracked=True, experiments=[EXPERIMENT])
    assert said in str(caught.value)
    assert str(tmp_path / DATABASE) in str(caught.value)
    check_outputs(tmp_path, tracked=False)


def test_the_command_that_moves_it_away_works_when_pasted(tmp_path: Path) -> None:
    folder = tmp_path / "o dd, it's"
    database = folder / DATABASE
    database.mkdir(parents=True)
    sentence = unusable_database(database, EXPERIMENT)
    assert sentence is not None
    command = sentence.partition("away by '")[2].rpartition("', or give")[0]
    subprocess.run(["bash", "-c", command], check=True)
    assert unusable_database(database, EXPERIMENT) is None


def test_a_database_that_another_program_locks_is_named(made: bytes, tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    path.write_bytes(made)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "has been locked by another program" in str(unusable_database(path, EXPERIMENT, busy_s=0.1))
    assert unusable_database(path, EXPERIMENT) is None


@pytest.mark.parametrize("text", [None, b""])
def test_a_database_that_is_not_there_yet_is_none_of_these(text: bytes | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / DATABASE).write_bytes(text)
    check_outputs(tmp_path, tracked=True, experiments=[EXPERIMENT])
