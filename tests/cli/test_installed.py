"""The wheel runs in an empty folder of another environment, without a checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.runs import DEADLINE_S, SCENE, SMALL, Workplace, output_of
from vbench import __version__
from vbench.config.checkout import CONF, EXPERIMENTS, ROOT
from vbench.record.files import read_trial

pytestmark = pytest.mark.slow

HIDDEN = ("PYTHONPATH", "VIRTUAL_ENV")
"""Variables by which the environment would find the checkout."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the repository, which stays as it is."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("vbench", "conf", "experiments"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    # Without an environment of its own, and without its dependencies: both would come from the network.
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder, source]
    subprocess.run(build, check=True, timeout=DEADLINE_S)
    (built,) = folder.glob("*.whl")
    return built


@dataclass
class Installed:
    """An environment with the wheel in it, and a folder to run in."""

    environment: Path
    workplace: Workplace

    def run(self, program: str, *arguments: str) -> tuple[int, str]:
        """Exit status of a program of the environment, and all that it printed."""
        kept = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
        }
        command = [self.environment / "bin" / program, *arguments]
        environment = {**kept, "TMPDIR": str(self.workplace.temp)}
        return output_of(command, folder=self.workplace.folder, env=environment)


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, which finds its dependencies in the one that tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python"]
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--quiet", wheel], check=True, timeout=DEADLINE_S
    )
    return folder


@pytest.fixture
def installed(environment: Path, workplace: Workplace) -> Installed:
    return Installed(environment, workplace)


def test_the_wheel_has_all_that_runs_and_that_types_can_be_checked_with(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    assert "vbench/py.typed" in names
    assert "vbench/models/shapes.safetensors" in names
    options = {f"vbench/conf/{file.relative_to(CONF)}" for file in CONF.rglob("*.yaml")}
    studies = {f"vbench/experiments/{file.name}" for file in EXPERIMENTS.glob("*.yaml")}
    assert options | studies == {name for name in names if name.endswith(".yaml")}
    assert not any(name.startswith(("conf/", "tests/", "experiments/")) for name in names)


def test_a_trial_in_an_empty_folder_is_valid(installed: Installed) -> None:
    folder = installed.workplace.folder
    own = folder / "vbench_conf" / "runtime" / "two.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# two connections\nname: two\nconnections: 2\n")
    status, output = installed.run(
        "vbench", "runtime=two", *SMALL, *SCENE, "tracking=off", "hydra.run.dir=trial"
    )
    assert status == 0, output
    trial = read_trial(folder / "trial")
    assert trial.valid
    assert (trial.config["runtime"]["name"], trial.config["runtime"]["connections"]) == ("two", 2)
    environment = trial.environment
    assert (environment["git_revision"], environment["git_clean"]) == (None, None)
    assert environment["code"], "the files of the package stand for its revision"
    status, output = installed.run("vbench", "revalidate", "trial")
    assert status == 0, output


def test_its_commands_answer_without_a_checkout(installed: Installed) -> None:
    assert installed.run("vbench", "--version") == (0, f"vbench {__version__}\n")
    status, page = installed.run("vbench", "--help")
    assert status == 0
    assert "  anyscale_vs_oss " in page
    status, shown = installed.run("vbench", "--cfg", "job", "runtime=anyscale", "--package", "runtime")
    assert status == 0
    assert shown.startswith("# @package runtime\nname: anyscale\nconnections: 15\n")
    status, shown = installed.run("vbench", "--cfg", "job", "+experiments=aa", "--package", "blocks")
    assert status == 0
    assert shown.endswith("\n5\n")
    status, manifest = installed.run("vbench", "manifests", "serve", "cluster=aws")
    assert status == 0, manifest
    assert "vbench.pipeline:build" in manifest


def test_the_service_can_be_imported_for_serve_run(installed: Installed) -> None:
    code = "import vbench.pipeline as p; print(p.__file__, callable(p.build))"
    status, printed = installed.run("python", "-c", code)
    assert status == 0, printed
    path, is_callable = printed.split()
    assert Path(path).is_relative_to(installed.environment)
    assert is_callable == "True"
