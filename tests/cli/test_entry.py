"""Every command starts with open streams in a folder that exists, and says if its output was not written."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support import records
from vbench.cli.main import COMMANDS, main
from vbench.clusters.ray_node import inherited
from vbench.record.files import MACHINES, NODES, REQUESTS, SPANS, TRIAL, write_json, write_lines

ROOT = Path(__file__).resolve().parents[2]
PYTHON = f"PYTHONPATH={ROOT} {sys.executable} -m"


def shell(line: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", line],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def record(tmp_path: Path) -> Path:
    folder = tmp_path / "record"
    folder.mkdir()
    write_json(folder / TRIAL, records.trial(environment={"git_revision": None}))
    write_lines(folder / REQUESTS, [records.request(0)])
    write_lines(folder / SPANS, [])
    write_lines(folder / NODES, [records.sample(100.0), records.sample(101.0)])
    write_lines(folder / MACHINES, [records.machine(100.0), records.machine(101.0)])
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_page_and_is_on_the_main_one(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: vbench {name} ")
    assert main(["--help"]) == 0
    assert f"\n  vbench {name} " in capsys.readouterr().out


def test_run_is_the_command_that_needs_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == main(["--help"]) == 0
    with_name, without = capsys.readouterr().out.split("vbench: what does", 2)[1:]
    assert with_name == without


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vbench {version('vbench')}\n"


def test_the_earlier_name_of_the_log_command_still_works(tmp_path: Path) -> None:
    done = shell(f"{PYTHON} vbench.tracking nowhere", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "vbench: there is no trial.json in nowhere or below it\n"


def test_a_command_that_does_not_exist_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["comapre", "outputs/sweeps/x"]) == 2
    assert capsys.readouterr().err == (
        "vbench: there is no command comapre: did you mean 'compare'? (there are: baseline, cluster,"
        " compare, doctor, efficiency, log, manifests, plan, request, revalidate, run)\n"
    )


@pytest.mark.parametrize("module", ["vbench", "vbench revalidate"])
def test_a_folder_that_is_gone_is_said_so(module: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    done = shell(f"mkdir {gone}; cd {gone}; rmdir {gone}; {PYTHON} {module} --help", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "vbench: the current folder no longer exists: change to another, such as cd ~\n"


@pytest.mark.parametrize(
    "command", ["vbench", "vbench revalidate", "vbench doctor", "vbench manifests serve"]
)
def test_an_argument_that_is_not_in_utf_8_is_refused_by_every_command(command: str, tmp_path: Path) -> None:
    done = shell(f"{PYTHON} {command} $'outputs=\\xff'", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("vbench: the argument outputs=\\udcff is not in UTF-8: rename it, or ")


@pytest.mark.parametrize(
    "command",
    [
        "vbench --help",
        "vbench --cfg job",
        "vbench --info searchpath",
        "vbench manifests serve",
        "vbench revalidate RECORD",
    ],
)
def test_a_full_device_is_said_so(command: str, record: Path) -> None:
    done = shell(f"{PYTHON} {command.replace('RECORD', str(record))} > /dev/full", record)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == "vbench: the output cannot be written: No space left on device"


@pytest.mark.parametrize("command", ["vbench compare RECORD", "vbench revalidate RECORD", "vbench --help"])
def test_standard_streams_may_be_closed(command: str, record: Path) -> None:
    done = shell(f"{PYTHON} {command.replace('RECORD', str(record))} >&- <&-", record)
    assert "Traceback" not in done.stderr
    assert done.returncode == (2 if "compare" in command else 1 if "revalidate" in command else 0)


def test_a_reader_that_goes_is_no_error_in_logging(tmp_path: Path) -> None:
    done = shell(f"{PYTHON} vbench --info searchpath | head -1", tmp_path)
    assert done.stdout
    assert done.stderr == ""


def test_an_interpreter_that_drops_docstrings_is_refused(tmp_path: Path) -> None:
    done = shell(f"{PYTHON} vbench", tmp_path, PYTHONOPTIMIZE="2")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "unset PYTHONOPTIMIZE" in line


def test_no_process_of_a_trial_drops_docstrings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    assert "PYTHONOPTIMIZE" not in inherited()
