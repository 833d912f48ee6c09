"""The same code is the same files: what can change a result counts, whatever git says of it."""

import shutil
from pathlib import Path

import pytest

from tests.support.runs import SMALL, Wait, Workplace
from vbench.config.checkout import ROOT
from vbench.telemetry.environment import MEASURED, code, describe


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small project outside git."""
    for name, text in {
        "vbench/load/a.py": "A = 1\n",
        "vbench/b.py": "B = 2\n",
        "conf/config.yaml": "mode: chunked\n",
        "pyproject.toml": "[project]\n",
        "constraints.txt": "ray==2\n",
        "README.md": "read me\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "name", ["vbench/load/a.py", "vbench/new.py", "conf/config.yaml", "pyproject.toml", "constraints.txt"]
)
def test_a_file_that_can_change_a_result_makes_other_code(tree: Path, name: str) -> None:
    before = code(tree)
    (tree / name).write_text("another = 3\n")
    assert code(tree) != before


def test_a_file_under_another_name_makes_other_code(tree: Path) -> None:
    before = code(tree)
    (tree / "vbench" / "b.py").rename(tree / "vbench" / "c.py")
    assert code(tree) != before


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "experiments/aa/README.md",
        "outputs/runs/1/trial.json",
        "vbench/__pycache__/b.cpython-311.pyc",
        "vbench/b.pyc",
        "vbench/.b.py.swp",
        "vbench/b.py~",
        "conf/.cache/x.yaml",
    ],
)
def test_a_file_that_cannot_makes_none(tree: Path, name: str) -> None:
    before = code(tree)
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text("another\n")
    assert code(tree) == before


def test_a_copy_elsewhere_is_the_same_code(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(tree, copy)
    assert code(copy) == code(tree)
    assert describe()["code"] == code(ROOT)


def test_a_sweep_stops_where_its_code_changes(workplace: Workplace, wait_for: Wait) -> None:
    for name in MEASURED:
        path, to = ROOT / name, workplace.folder / name
        if path.is_dir():
            shutil.copytree(path, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, to)
    clips = ["video=file", "video.path=nowhere.mp4,nothing.mp4"]
    sweep = workplace.start("--multirun", *clips, *SMALL, "tracking=off", "hydra.sweep.dir=swept")
    wait_for(sweep, "trial 1 of 2")
    (workplace.folder / "vbench" / "added.py").write_text("ADDED = 1\n")
    output, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 1, output
    assert "trial 2 of 2" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("vbench: the sweep has stopped")]
    assert "trial 0 may have mixed old and new code" in line
    assert f"vbench resume={workplace.folder / 'swept'}" in line
    assert (workplace.folder / "swept" / "0" / "trial.json").exists()
    assert not (workplace.folder / "swept" / "1").exists()
