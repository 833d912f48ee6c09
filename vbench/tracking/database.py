"""Whether MLflow can log to its database, checked before anything is measured."""

import importlib.util
import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from vbench.config.quoting import override, shell_quoted

HEADER = b"SQLite format 3\0"
BUSY_S = 5.0
"""Another vbench writes for less than that at a time."""

REVISION = re.compile(r"""^(revision|down_revision)\s*(?::[^=]*)?=\s*["'](\w+)["']""", re.MULTILINE)


def unusable_database(database: Path, experiment: str, busy_s: float = BUSY_S) -> str | None:
    """Why MLflow cannot log to ``experiment`` in ``database``, and what to do, as a sentence; None if it can,
    or will make the database. ``busy_s``: how long to wait for another program that has locked it."""
    move = f"mv {shell_quoted(str(database))} {shell_quoted(f'{database}.old')}"
    otherwise = f"move it away by '{move}', or give tracking=off"
    if not os.path.lexists(database):
        return None
    if (wrong := _not_a_database(database)) is not None:
        return f"{database} {wrong}, and MLflow's database goes there: {otherwise}."
    try:
        return _refused(database, experiment, otherwise, busy_s)
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            return f"{database}, MLflow's database, cannot be used ({error}): {otherwise}."
        return (
            f"{database}, MLflow's database, has been locked by another program for {busy_s:g} s: end that"
            f" ('fuser {shell_quoted(str(database))}' names it), or give tracking=off."
        )
    except sqlite3.DatabaseError as error:
        return f"{database}, MLflow's database, is damaged ({error}): {otherwise}."


def _not_a_database(path: Path) -> str | None:
    """What is wrong with a file, as a clause; None for a SQLite database, and for an empty file, which SQLite
    takes for a new one."""
    if not path.is_file():
        return "is no regular file"
    try:
        with path.open("r+b") as file:
            header = file.read(len(HEADER))
    except OSError as error:
        return f"cannot be read and written ({error.strerror})"
    return None if header in (b"", HEADER) else "is no SQLite database"


def _refused(database: Path, experiment: str, otherwise: str, busy_s: float) -> str | None:
    """The sentence for a SQLite database that MLflow would refuse; sqlite3.Error if SQLite does."""
    whole = database.resolve()
    with closing(sqlite3.connect(f"file:{quote(str(whole))}?mode=rw", uri=True, timeout=busy_s)) as open_one:
        open_one.isolation_level = None
        open_one.execute("BEGIN IMMEDIATE")
        open_one.execute("ROLLBACK")
        tables = {name for (name,) in open_one.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"alembic_version", "experiments"} <= tables:
            return f"{database} is not a database of MLflow: {otherwise}." if tables else None
        revisions = {version for (version,) in open_one.execute("SELECT version_num FROM alembic_version")}
        stages = open_one.execute(
            "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?", (experiment,)
        ).fetchall()
    older = _migrations()
    if older and (unknown := revisions - older.keys()):
        return (
            f"{database} is of a newer MLflow than the one installed here (its schema is"
            f" {', '.join(map(str, sorted(unknown)))}): {otherwise}."
        )
    uri = f"sqlite:///{whole}"
    if older and revisions & set(older.values()):
        return (
            f"{database} is of an older MLflow: bring it up to date by 'python -m mlflow db upgrade"
            f" {shell_quoted(uri)}', or give tracking=off."
        )
    for number, stage in stages:
        if stage == "deleted":
            return (
                f"MLflow's experiment '{experiment}' in {database} is deleted: bring it back by"
                f" 'MLFLOW_TRACKING_URI={shell_quoted(uri)} python -m mlflow experiments restore"
                f" --experiment-id {number}', or give {override('tracking.experiment', experiment + '-2')}."
            )
    return None


def _migrations() -> Mapping[str, str]:
    """Each revision of the schema that the installed MLflow knows -> the one before; empty if its files lie
    elsewhere. They are read, since importing MLflow takes seconds."""
    package = importlib.util.find_spec("mlflow")
    earlier: dict[str, str] = {}
    for root in package.submodule_search_locations or () if package else ():
        for path in Path(root, "store", "db_migrations", "versions").glob("*.py"):
            facts = dict(REVISION.findall(path.read_text()))
            if "revision" in facts:
                earlier[facts["revision"]] = facts.get("down_revision", "")
    return earlier
