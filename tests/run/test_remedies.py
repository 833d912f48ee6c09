"""A folder that a message tells to give can be given, wherever the folder for temporary files lies."""

import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from vbench.analysis.trials import read_experiment
from vbench.clusters.emulated.cluster import check
from vbench.clusters.installation import sentence
from vbench.config.quoting import UNQUOTED
from vbench.errors import ConfigError, InputError, TrackingError
from vbench.record.files import DATABASE
from vbench.run.compose import compose_configs
from vbench.run.preflight import check_outputs
from vbench.tracking.mlflow import Tracker, unusable_outputs

AWKWARD = [
    "50%",
    "a b",
    "$HOME",
    "${outputs}",
    "{x}",
    "it's",
    "a,b",
    "a=b",
    'say "x"',
    "`id`",
    "a\\b",
    "(a)",
    "~",
]


def pasted(command: str) -> list[str]:
    """The arguments that bash makes of it."""
    code = "import sys; print('\\0'.join(sys.argv[1:]), end='')"
    done = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {command}', sys.executable, code],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout.split("\0")


def usable(remedy: str) -> Path:
    """The outputs folder of a pasted override."""
    (argument,) = pasted(remedy)
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert override.key_or_group == "outputs"
    folder = Path(str(OmegaConf.create({"outputs": override.value()}).outputs))
    assert unusable_outputs(folder) is None
    return folder


@pytest.fixture(params=AWKWARD)
def temporary(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder: Path = tmp_path / request.param
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_outputs_that_mlflow_cannot_take_are_refused_with_some_that_it_can(temporary: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        check_outputs(Path("/tmp/50%"), tracked=True)
    found = re.search(r"such as (.*), or tracking=off\.$", str(refused.value))
    assert found is not None
    folder = usable(found[1])
    assert folder.parent in (temporary, Path("/tmp"))


@pytest.mark.parametrize("sign", "?#%")
def test_an_override_that_mlflow_cannot_take_is_refused_with_one_that_it_can(sign: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compose_configs([f"outputs='/tmp/a{sign}b'"], multirun=False)
    found = re.search(r"such as (.*), or tracking=off\.$", str(refused.value))
    assert found is not None
    usable(found[1])
    (config,) = compose_configs([f"outputs='/tmp/a{sign}b'", "tracking=off"], multirun=False)
    assert config.outputs == f"/tmp/a{sign}b"


def test_outputs_that_no_emulated_host_sees_are_refused_with_some_that_all_see(temporary: Path) -> None:
    config = replace(compose_configs(["cluster=emulated"], multirun=False)[0], outputs="/dev/shm/vbench")
    with pytest.raises(InputError) as refused:
        check(config)
    found = re.search(r"^outputs=/dev/shm/vbench cannot be inside .* such as (.*)\.$", str(refused.value))
    assert found is not None
    assert not usable(found[1]).is_relative_to("/dev/shm")


def test_tracking_names_its_own_option(temporary: Path) -> None:
    with pytest.raises(TrackingError) as refused:
        Tracker(Path("/tmp/50%"), "x")
    found = re.search(r"such as (.*)$", str(refused.value))
    assert found is not None
    (argument,) = pasted(found[1])
    assert argument.startswith("--outputs=/")
    assert unusable_outputs(Path(argument.removeprefix("--outputs="))) is None


def test_compare_does_not_name_an_option_that_it_does_not_have(tmp_path: Path) -> None:
    outputs = tmp_path / "50%"
    outputs.mkdir()
    (outputs / DATABASE).touch()
    with pytest.raises(ConfigError) as refused, read_experiment(outputs, "x"):
        pass
    assert "Move the folder back" in str(refused.value)
    assert " outputs=" not in str(refused.value)


def test_a_folder_for_an_environment_is_one_that_ray_can_start_from(temporary: Path) -> None:
    found = re.search(r"such as (.*), and run", sentence(Path("/a b/python")))
    assert found is not None
    assert UNQUOTED.search(found[1]) is None
