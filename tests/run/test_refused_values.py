"""Values that no trial can have are refused before anything starts, with the key that the user set."""

import argparse
import os
from pathlib import Path

import pytest

from tests.support.refusals import refused
from vbench.config.path_option import path_option
from vbench.errors import ConfigError, InputError, VbenchError
from vbench.load.video_copy import local_copy
from vbench.models.protocol import ModelError
from vbench.models.shapes import read_weights
from vbench.run.command_line import read_command_line
from vbench.run.compose import compose_trials
from vbench.run.hydra_app import run_in_folder
from vbench.run.overrides import check_utf8
from vbench.run.preflight import check_machine
from vbench.run.session import run
from vbench.run.sweep import Sweep, describe, plan


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["+cluster.nodes.head.resources.x=1.5"], "resources.x=1.5 must be a whole number"),
        (["+cluster.nodes.head.resources.x=1e-9"], "resources.x=1e-09 must be"),
        (
            ["+cluster.nodes.head.resources.x=1e300"],
            "resources.x=1e+300 must be a whole number of at most",
        ),
        (["+cluster.nodes.head.resources.CPU=4"], "CPU is not a custom resource; give cpus instead"),
        (["+cluster.nodes.head.resources.GPU=4"], "GPU is not a custom resource; give gpus instead"),
        (["+cluster.nodes.head.resources.memory=4"], "memory is not a custom resource"),
        (["+cluster.deployments.service.resources.CPU=1"], "CPU is not a custom resource; give cpus instead"),
        (
            ["video=file", "video.path=/dev/zero"],
            "video.path=/dev/zero is not a video: vbench does not read from /proc",
        ),
        (["video=file", "video.path=/proc/self/mem"], "video.path=/proc/self/mem is not a video"),
        (
            ["load.concurrency=20000", "load.requests=20000"],
            "load.concurrency=20000 must be at most 10,000",
        ),
        (["pipeline.fps=0.0000001"], "1e-07 is outside 1/3600 to 240 frames/s"),
        (["pipeline.fps=1001"], "pipeline.fps=1001: 1001 is outside 1/3600 to 240 frames/s"),
        (["pipeline.chunk_s=1e-9"], "pipeline.chunk_s=1e-09: 1e-09 is outside 0.1 to 86400 seconds"),
        (["load.sample_period_s=0.0001"], "load.sample_period_s=0.0001 must be 0.02 s or more"),
        (["tracking.experiment="], "tracking.experiment= must name an experiment"),
        ([f"tracking.experiment={'x' * 501}"], "tracking.experiment has 501 characters"),
        (["model.batch_size=1000000"], "model.batch_size=1000000 must be at most 1,024"),
        (["model.weights="], "model.weights= names no weights"),
        (["blocks=auto"], "blocks=auto needs a bound: add analysis.max_blocks=12."),
        (["blocks=many"], "blocks=many must be a whole number from 1 to 1,000, or auto."),
        (["blocks=2.5"], "blocks=2.5 must be a whole number, or auto."),
        (["blocks=true"], "blocks=true must be a whole number, or auto."),
        (["blocks=0"], "blocks=0 must be between 1 and 1,000, or auto."),
        (["blocks=auto", "analysis.max_blocks=2"], "analysis.max_blocks=2 must be between 3 and 1,000"),
        (["model.device=gpu"], "model.device=gpu: there is no such device: use cpu, cuda or cuda:N"),
    ],
)
def test_a_value_that_no_trial_can_have_is_refused(overrides: list[str], says: str) -> None:
    said = refused(*overrides)
    assert says in said
    assert "roots" not in said
    assert "queue_length" not in said


def test_an_experiment_that_is_not_used_may_have_any_name() -> None:
    compose_trials(["tracking=off", "tracking.experiment="], multirun=False)


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    return "loop"


@pytest.mark.parametrize(
    "overrides", [["outputs=loop"], ["video=file", "video.path=loop/a.mp4"], ["model.weights=./loop"]]
)
def test_links_that_form_a_loop_are_named(loop: str, overrides: list[str]) -> None:
    assert f"{overrides[-1]}: its symbolic links form a loop" in refused(*overrides)


def test_links_that_form_a_loop_are_named_for_other_folders_too(loop: str) -> None:
    with pytest.raises(VbenchError, match=r"resume=loop: its symbolic links form a loop"):
        run([f"resume={loop}"])
    with pytest.raises(argparse.ArgumentTypeError, match="loop: its symbolic links form a loop"):
        path_option(loop)


def test_a_file_uri_is_the_path_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "a b.mp4"
    path.write_bytes(b"0")
    (arm,) = compose_trials(["video=file", f"video.path='{path.as_uri()}'"], multirun=False).configs
    assert local_copy(arm.video, tmp_path / "cache") == path


@pytest.mark.parametrize("argument", [b"video.path='\xff.mp4'", b"outputs=\xff", b"model.weights=/\xff"])
def test_a_name_that_is_not_in_utf_8_is_refused(argument: bytes) -> None:
    with pytest.raises(ConfigError, match=r"is not in UTF-8: rename it"):
        check_utf8([os.fsdecode(argument)])


@pytest.mark.parametrize("key", ["outputs", "tracking.experiment"])
def test_what_cannot_change_a_result_is_not_swept(key: str) -> None:
    asked = compose_trials([f"{key}=x,y", "mode=chunked,combined"], multirun=True)
    with pytest.raises(ConfigError, match=f"{key} cannot be swept, because it does not affect results"):
        plan(asked)


@pytest.mark.parametrize("arguments", [["-p", "load"], ["--resolve"]])
def test_options_that_only_say_how_to_print_start_no_trial(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match="add --cfg job"):
        read_command_line(arguments)


def test_a_trials_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    composition = compose_trials([f"hydra.run.dir={tmp_path}/file/x"], multirun=False)
    with pytest.raises(ConfigError, match=r"file.* cannot be made \(Not a directory\): give another"):
        run_in_folder(composition, composition.arms[0], lambda folder: None)


def test_a_package_that_does_not_exist_is_bad_input() -> None:
    with pytest.raises(ConfigError, match="--package nope: the configuration has no such part"):
        run(["--cfg", "job", "-p", "nope"])


@pytest.mark.parametrize(
    ("package", "near"),
    [
        ("laod", "load"),
        ("load.request", "load.requests"),
        ("mode.x", "mode"),
        ("cluster.nodes.haed", "cluster.nodes.head"),
    ],
)
def test_the_nearest_package_is_named_and_can_be_printed(
    package: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=rf"no such part: .*\b{near}\b"):
        run(["--cfg", "job", "-p", package])
    assert run(["--cfg", "job", "-p", near]) == 0
    assert capsys.readouterr().out.strip()


def test_a_part_that_is_null_is_printed_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--cfg", "job", "-p", "cluster.address"]) == 0
    assert capsys.readouterr().out == "null\n"


def test_the_configuration_that_is_shown_of_a_sweep_is_said_to_be_its_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--multirun", "--cfg", "job", "mode=chunked,combined"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "vbench: the first of 2 arms: mode=chunked\n"
    assert printed.out.startswith("cluster:")


def test_hardware_that_is_not_there_is_named_before_anything_starts() -> None:
    (arm,) = compose_trials(["pipeline.hwaccel=drm"], multirun=False).configs
    with pytest.raises(InputError, match=r"pipeline.hwaccel=drm: FFmpeg cannot .* or pipeline.hwaccel=null"):
        check_machine([arm])


def test_the_remedy_for_weights_is_a_command_with_its_path_quoted(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as missing:
        read_weights(tmp_path / "a b")
    assert "use model.weights=bundled" in str(missing.value)
    assert f"--out '{tmp_path / 'a b'}'" in str(missing.value)
    with pytest.raises(ModelError) as folder:
        read_weights(tmp_path)
    assert "--out" not in str(folder.value)


def test_one_trial_is_told_as_one() -> None:
    asked = compose_trials(["mode=chunked"], multirun=True)
    trials = plan(asked)
    sweep = Sweep(sweep_id="1", started="", swept=["mode"], arguments=[], cwd="", blocks=1, trials=trials)
    assert next(describe(Path("folder"), sweep, 1)) == "1 trial: 1 arm once, into folder"
