"""The image's recipe: nothing for its linter to say, and each runtime's flags as a trial would set them."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from vbench.cli.manifests.kuberay import USER_ID
from vbench.cli.manifests.serve import IMPORT_PATH
from vbench.config.checkout import ROOT
from vbench.config.option_files import OptionFiles
from vbench.config.runtime_env import variables_of
from vbench.pipeline import front
from vbench.pipeline.config import PipelineArgs
from vbench.run.compose import compose_configs

STEPS = DockerfileParser(path=str(ROOT / "Dockerfile")).structure


def stages() -> dict[str, list[tuple[str, str]]]:
    """Steps by stage, that it is made from first."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for step in STEPS:
        if step["instruction"] == "FROM":
            name = step["value"].split()[-1]
            found[name] = []
        if name:
            found[name].append((step["instruction"], step["value"]))
    return found


def test_the_linter_has_nothing_to_say() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("hadolint")), str(ROOT / "Dockerfile")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("runtime", OptionFiles().groups()["runtime"])
def test_an_image_has_its_runtimes_flags_and_no_others(runtime: str) -> None:
    (config,) = compose_configs([f"runtime={runtime}"], multirun=False)
    steps = stages()[f"runtime-{runtime}"]
    assert steps[0] == ("FROM", f"base AS runtime-{runtime}")
    given = [shlex.split(value) for kind, value in steps if kind == "ENV"]
    flags = dict(pair.split("=", 1) for pairs in given for pair in pairs)
    assert flags == variables_of(config.runtime)


def test_no_other_stage_has_a_flag() -> None:
    for name, steps in stages().items():
        if not name.startswith("runtime-"):
            assert not any("object_manager" in value for kind, value in steps if kind == "ENV")


def test_the_service_that_it_starts_has_the_proxy_refuse_what_there_is_no_room_for() -> None:
    (command,) = (json.loads(value) for kind, value in list(stages().values())[-1] if kind == "CMD")
    env = front.environment(PipelineArgs().places)
    assert command == [
        "env",
        *(f"{name}={value}" for name, value in env.items()),
        "serve",
        "run",
        IMPORT_PATH,
    ]


def test_it_runs_as_the_user_that_manifests_name() -> None:
    last = list(stages().values())[-1]
    assert ("USER", str(USER_ID)) in last
    assert any(kind == "HEALTHCHECK" for kind, _ in last)
