"""A step of the load process that does not come to its end is an error that says how it ended, and why."""

import os
from pathlib import Path

import pytest

from tests.support import records
from vbench.errors import TrialError
from vbench.load.spec import LoadSpec
from vbench.run.load_step import run_load_step
from vbench.run.progress import Display


def failure(folder: Path, script: str) -> str:
    """The error of a load process that is a shell script instead."""
    spec = LoadSpec(config=records.config(), folder=folder, endpoint=None)
    with pytest.raises(TrialError) as failed:
        run_load_step("prepare", spec, os.environ, Display(), enter=("bash", "-c", script))
    return str(failed.value)


def test_a_killed_process_hints_at_the_memory(tmp_path: Path) -> None:
    said = failure(tmp_path, "kill -9 $$")
    assert said.startswith("the load process was ended by signal 9 in its step 'prepare'; see ")
    assert "ran out of memory" in said
    assert "lower load.concurrency" in said


def test_a_process_that_ends_otherwise_gives_no_such_hint(tmp_path: Path) -> None:
    assert "ended with status 3 in its step 'prepare'" in failure(tmp_path, "exit 3")
    said = failure(tmp_path, "kill -15 $$")
    assert "was ended by signal 15" in said
    assert "memory" not in said
