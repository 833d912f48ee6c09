"""Another environment is asked what it has, and refused in one sentence if no arm can run in it."""

import os
import sys
import venv
from pathlib import Path

import pytest

from vbench.config.interpreter import LINKED, import_path, interpreter, other_interpreter
from vbench.config.schema import RuntimeConfig
from vbench.errors import InputError
from vbench.ray_internals.version import PINNED


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    venv.create(tmp_path / "venv", symlinks=True)
    return tmp_path / "venv" / "bin" / "python"


def install(python: Path, version: str) -> None:
    """What a package is to whoever looks for it."""
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    (site / "ray").mkdir()
    (site / "ray" / "__init__.py").write_text("")
    metadata = site / f"ray-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: ray\nVersion: {version}\n")


def test_no_other_environment_is_asked_by_default() -> None:
    runtime = RuntimeConfig(name="oss")
    assert other_interpreter(runtime) is None
    assert import_path(runtime, Path("outputs"), {}) == {}


def test_an_environment_says_what_an_arm_runs_on() -> None:
    other = interpreter(sys.executable)
    assert other.packages["ray"] == PINNED
    assert (other.ray_folder / "_raylet.so").exists()
    assert other.python == ".".join(map(str, sys.version_info[:3]))


def test_an_environment_without_ray_is_refused_with_what_to_install(empty: Path) -> None:
    with pytest.raises(InputError, match=f"has no Ray: install one with {empty} -m pip install 'ray"):
        interpreter(str(empty))


def test_a_ray_that_fails_the_contract_tests_is_refused_with_those_that_work(empty: Path) -> None:
    install(empty, "2.57.1")
    with pytest.raises(InputError, match=r"has Ray 2\.57\.1, and vbench works with 2\.58, 2\.59, 2\.60"):
        interpreter(str(empty))


def test_what_else_is_missing_is_named(empty: Path) -> None:
    install(empty, "2.59.0")
    with pytest.raises(InputError, match=r"lacks what vbench needs: install it with .* torch numpy av "):
        interpreter(str(empty))


@pytest.mark.parametrize("given", ["/nowhere/python", "/", "/etc/passwd"])
def test_what_is_no_program_is_refused(given: str) -> None:
    with pytest.raises(InputError, match=f"runtime.python={given} is no program"):
        interpreter(given)


def test_a_program_that_is_no_python_is_refused() -> None:
    with pytest.raises(InputError, match=r"runtime\.python=/bin/true does not answer as a Python does"):
        interpreter("/bin/true")


def test_a_path_that_ray_cannot_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Ray cannot start workers from a path with such characters"):
        interpreter(str(tmp_path / "my venv" / "bin" / "python"))


def test_the_other_environment_finds_this_package_and_nothing_beside_it(tmp_path: Path) -> None:
    runtime = RuntimeConfig(name="oss", python=sys.executable)
    for _ in range(2):
        variables = import_path(runtime, tmp_path, {"PYTHONPATH": "/mine"})
    first, mine = variables["PYTHONPATH"].split(os.pathsep)
    assert mine == "/mine"
    assert Path(first) == tmp_path / LINKED
    assert [path.name for path in Path(first).iterdir()] == ["vbench"]
