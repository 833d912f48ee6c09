"""Paths on the command lines of vbench's other commands: a shell leaves ``~`` as it is behind ``--out=``."""

import argparse
from pathlib import Path

import pytest

from vbench.cli.compare import main as compare
from vbench.cli.efficiency import main as efficiency
from vbench.cli.log import main as log
from vbench.cli.manifests.command import main as manifests
from vbench.cli.revalidate import main as revalidate
from vbench.config.path_option import path_option
from vbench.errors import ConfigError
from vbench.run.session import run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder beside the one that commands run in."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    return home


def test_a_tilde_is_the_home_folder(home: Path) -> None:
    assert path_option("~/x") == home / "x"
    assert path_option("./~") == Path("~")
    with pytest.raises(argparse.ArgumentTypeError, match=r"~nobody-here/x: there is no such user"):
        path_option("~nobody-here/x")


def test_no_command_takes_a_tilde_for_a_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert manifests(["serve", "--out=~/serve.yaml"]) == 0
    assert (home / "serve.yaml").exists()
    assert compare(["--experiment", "x", "--outputs=~/o"]) == 2
    for command in (compare, revalidate, log, efficiency):
        assert command(["~/nothing"]) != 0
    said = capsys.readouterr().err
    assert said.count(f"{home}/nothing") == 4
    assert f"{home}/o/mlflow.db does not exist" in said
    with pytest.raises(ConfigError, match=f"{home}/s"):
        run(["resume=~/s"])
    assert list(Path().iterdir()) == []


def test_a_manifest_says_its_command_as_it_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    assert manifests(["serve", "video=file", "video.path='a b.mp4'"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "# vbench manifests serve video=file \"video.path='a b.mp4'\""
