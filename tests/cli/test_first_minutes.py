"""What goes wrong in a newcomer's first minutes ends in one sentence with the remedy, and no traceback."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vbench.cli import start
from vbench.config.checkout import ROOT

AS_PYTHON_3_9 = "import runpy, sys; sys.version_info = (3, 9, 18); sys.argv = ['vbench', *sys.argv[1:]]; "


def run(folder: Path, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def one_sentence(done: "subprocess.CompletedProcess[str]") -> str:
    """The only line that a command has printed, on standard error."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("arguments", [[], ["--help"], ["compare", "x"]])
def test_an_old_python_is_named_with_the_one_to_take(tmp_path: Path, arguments: list[str]) -> None:
    code = f"{AS_PYTHON_3_9} runpy.run_module('vbench', run_name='__main__')"
    said = one_sentence(run(tmp_path, sys.executable, "-c", code, *arguments))
    assert said.startswith("vbench: Python 3.9 does not run vbench, which needs 3.11, 3.12 or 3.13:")
    assert "make setup PYTHON=python3.11" in said


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py", "cli/__init__.py", "cli/start.py"])
def test_what_runs_before_the_version_is_checked_runs_on_an_old_python(name: str) -> None:
    text = (ROOT / "vbench" / name).read_text()
    tree = ast.parse(text, feature_version=(3, 6))
    imported = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imported] in (
        [],
        ["import sys"],
        ["import sys", "from vbench.cli.start import entry_point"],
    )


def test_the_versions_are_those_of_the_package() -> None:
    oldest, after_newest = (".".join(map(str, pair)) for pair in (start.OLDEST, (3, start.NEWEST[1] + 1)))
    assert f'requires-python = ">={oldest},<{after_newest}"' in (ROOT / "pyproject.toml").read_text()
    assert f"{start.OLDEST} <= sys.version_info[:2] <= {start.NEWEST}" in (ROOT / "Makefile").read_text()
    named = [f"3.{minor}" for minor in range(start.OLDEST[1], start.NEWEST[1] + 1)]
    sentence = f"{', '.join(named[:-1])} or {named[-1]}"
    for name in ("Makefile", "vbench/cli/start.py"):
        assert f"needs {sentence}" in (ROOT / name).read_text().replace("needs Python", "needs")


@pytest.mark.parametrize(("arguments", "package"), [([], "hydra"), (["compare", "x"], "psutil")])
def test_packages_that_are_not_installed_are_named_with_the_remedy(
    tmp_path: Path, arguments: list[str], package: str
) -> None:
    # -I -S: this Python, without the packages of its environment.
    code = f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['vbench', *sys.argv[1:]]; "
    code += "runpy.run_module('vbench', run_name='__main__')"
    said = one_sentence(run(tmp_path, sys.executable, "-I", "-S", "-c", code, *arguments))
    assert "which vbench needs, is not installed for" in said
    assert "'make setup'" in said
    assert "'pip install .'" in said


def test_help_needs_no_package_at_all(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from vbench.cli.main import main; main(['--help'])"
    )
    done = run(tmp_path, sys.executable, "-I", "-S", "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("vbench: what does a Ray runtime setting do")


@pytest.mark.parametrize("arguments", [["--help"], [], ["--cfg", "job"]])
def test_a_package_without_its_option_files_is_named_with_the_remedy(
    tmp_path: Path, arguments: list[str]
) -> None:
    shutil.copytree(ROOT / "vbench", tmp_path / "vbench", ignore=shutil.ignore_patterns("__pycache__"))
    said = one_sentence(run(tmp_path, sys.executable, "-m", "vbench", *arguments, PYTHONPATH=str(tmp_path)))
    missing = tmp_path / "conf"
    assert said.startswith(f"vbench: the option files of vbench are missing: there is no folder {missing}.")
    assert "pip install ." in said


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which ``make setup`` can begin."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def python_of_version(folder: Path, minor: int) -> Path:
    """A command that runs ``-c CODE`` with this Python, which takes itself for Python 3.``minor``."""
    path = folder / f"python3.{minor}"
    code = f"import sys; sys.version_info = (3, {minor}, 1); exec(sys.argv[1])"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$2"\n')
    path.chmod(0o755)
    return path


def test_make_setup_refuses_an_old_python_before_it_makes_an_environment(checkout: Path) -> None:
    done = run(checkout, "make", "setup", f"PYTHON={python_of_version(checkout, 9)}")
    assert done.returncode == 2
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "make setup PYTHON=python3.11" in done.stderr
    assert not (checkout / ".venv").exists()


def test_make_setup_keeps_no_environment_of_an_old_python(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    python_of_version(checkout, 9).rename(checkout / ".venv" / "bin" / "python")
    # It stops at making the environment, for its Python can only be asked for its version.
    run(checkout, "make", "setup", f"PYTHON={python_of_version(checkout, 11)}")
    assert not (checkout / ".venv").exists()
