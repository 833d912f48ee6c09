"""The user's own option files, in ``vbench_conf/`` or ``--config-dir``, extend the groups and the studies."""

import json
from pathlib import Path

import pytest

from tests.support.runs import Workplace
from vbench.cli.help import text
from vbench.config.option_files import find_option_files
from vbench.errors import ConfigError
from vbench.run.compose import compose_one, compose_trials
from vbench.run.session import run

TWO = "# two connections, as an option of my own\nname: two\nconnections: 2\n"
SMALLER = """\
# @package _global_
# The same question, asked in less time.
defaults:
  - anyscale_vs_oss
  - _self_
blocks: 2
hydra:
  sweeper:
    params:
      runtime: two,anyscale
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with an option and a study of its own."""
    write(tmp_path, "vbench_conf/runtime/two.yaml", TWO)
    write(tmp_path, "vbench_conf/experiments/smaller.yaml", SMALLER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("working")
def test_an_option_in_the_working_folder_is_chosen_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert compose_one(["runtime=two"]).runtime.connections == 2
    both = compose_trials(["runtime=oss,two", "mode=combined"], multirun=True)
    assert [config.runtime.connections for config in both.configs] == [None, 2]
    assert run(["--cfg", "job", "--package", "runtime.connections", "runtime=two"]) == 0
    assert capsys.readouterr().out == "2\n"


@pytest.mark.usefixtures("working")
def test_an_option_of_the_users_own_is_listed_and_suggested() -> None:
    lines = text().splitlines()
    assert "two two connections, as an option of my own" in [" ".join(line.split()) for line in lines]
    assert any(line.startswith("  smaller ") and "asked in less time" in line for line in lines)
    with pytest.raises(ConfigError, match=r"did you mean 'two'\?"):
        compose_one(["runtime=tow"])


@pytest.mark.usefixtures("working")
def test_a_study_of_the_users_own_may_extend_one_of_vbench() -> None:
    study = compose_trials(["+experiments=smaller"], multirun=False)
    assert study.multirun
    assert {config.blocks for config in study.configs} == {2}
    assert {config.runtime.connections for config in study.configs} == {2, 15}
    assert {config.cluster.name for config in study.configs} == {"emulated"}


def test_the_folder_may_be_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "mine/runtime/two.yaml", TWO)
    files = find_option_files(str(tmp_path / "mine"))
    assert compose_trials(["runtime=two"], multirun=False, files=files).configs[0].runtime.name == "two"
    monkeypatch.chdir(tmp_path)
    assert run(["--cfg", "job", "--config-dir", "mine", "runtime=two"]) == 0
    assert run(["--cfg", "job", "--config-dir=mine", "runtime=two"]) == 0
    with pytest.raises(ConfigError, match=r"runtime=two does not exist: .*there are: anyscale, "):
        run(["--cfg", "job", "runtime=two"])


@pytest.mark.parametrize(
    ("name", "content", "overrides", "said"),
    [
        ("runtime/oss.yaml", TWO, [], r"oss.yaml: vbench has an option runtime=oss already"),
        ("runtime/two.yaml", "name: [", ["runtime=two"], r"an option file cannot be read: .*two.yaml"),
        ("runtime/two.yaml", "conections: 2", ["runtime=two"], r"runtime/two.yaml: Key 'conections' not in"),
        (
            "experiments/s.yaml",
            "blocks: 2",
            ["+experiments=s"],
            r"the first line of a study must be",
        ),
        ("experiments/s.yaml", "# @package _global_\na: [", ["+experiments=s"], r"cannot be read: .*s.yaml"),
    ],
)
def test_an_option_file_that_cannot_be_used_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: str,
    overrides: list[str],
    said: str,
) -> None:
    write(tmp_path / "vbench_conf", name, content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        compose_trials(overrides, multirun=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config-dir", "nowhere"], "--config-dir nowhere is not a folder"),
        (["--config-dir"], "--config-dir needs a value"),
        (["hydra.searchpath=[file:///tmp]"], "give the folder of your option files with --config-dir DIR"),
    ],
)
def test_a_folder_that_cannot_be_used_is_named(arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        run(["--cfg", "job", *arguments])


def test_a_sweep_is_resumed_with_the_option_files_that_it_was_started_with(workplace: Workplace) -> None:
    write(workplace.folder, "mine/runtime/two.yaml", TWO)
    status, output = workplace.run(
        "--multirun",
        "--config-dir=mine",
        "runtime=two,oss",
        "video=file",
        "video.path=nowhere.mp4",
        "tracking=off",
        "hydra.sweep.dir=swept",
    )
    assert status == 2, output
    folder = workplace.folder / "swept"
    assert {trial["arm"] for trial in json.loads((folder / "sweep.json").read_text())["trials"]} == {
        "runtime=two",
        "runtime=oss",
    }
    status, output = workplace.run(f"resume={folder}")
    assert status == 2
    assert "nowhere.mp4" in output, output
