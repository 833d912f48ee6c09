"""How a sweep goes on: what stays, what is run again, what is told to MLflow, and when it cannot."""

from dataclasses import replace
from pathlib import Path

import pytest
import xxhash

from tests.support import mlflow_runs
from tests.support.measured_sweeps import all_measured, as_measured, asked, leave
from tests.support.records import trial
from vbench.errors import ConfigError
from vbench.record.files import TRIAL
from vbench.record.trial import Trial
from vbench.run.compose import Composition
from vbench.run.resume import archive_attempt, check_same, finished
from vbench.run.session import run
from vbench.run.sweep import Sweep, create
from vbench.run.trial import CRASH
from vbench.telemetry.environment import describe
from vbench.tracking.mlflow import Tracker

ARMS = ["mode=chunked,combined", "runtime=single,oss,anyscale", "blocks=3"]


def refused(folder: Path, sweep: Sweep, now: Composition, trials: dict[str, Trial]) -> str:
    with pytest.raises(ConfigError) as caught:
        check_same(folder, sweep, now, trials)
    return str(caught.value)


def test_what_was_measured_stays_and_all_else_is_run_again(tmp_path: Path) -> None:
    sweep = create(tmp_path, asked(*ARMS), [])
    leave(tmp_path / "0", trial())
    leave(tmp_path / "1", trial(valid=False))
    leave(tmp_path / "2", trial(status="failed", valid=False, error="no"))
    leave(tmp_path / "3", trial(status="interrupted", valid=False))
    (tmp_path / "4").mkdir()
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / TRIAL).write_text("damaged")
    assert set(finished(tmp_path, sweep)) == {"0", "1"}


def test_what_is_run_again_is_kept_under_another_name(tmp_path: Path) -> None:
    sweep = create(tmp_path, asked(*ARMS), [])
    for said in ("first", "second"):
        (tmp_path / "2").mkdir()
        (tmp_path / "2" / "load.log").write_text(said)
        archive_attempt(tmp_path, sweep.trials[2])
        assert not (tmp_path / "2").exists()
    archive_attempt(tmp_path, sweep.trials[2])
    kept = [path.read_text() for path in sorted(tmp_path.glob("earlier/2-*/load.log"))]
    assert kept == ["first", "second"]


def first(sweep: Sweep, now: Composition, **environment: object) -> dict[str, Trial]:
    """The first planned trial alone; ``environment``: what of it was another when it was measured."""
    record = as_measured(sweep.trials[0], now)
    return {sweep.trials[0].folder: replace(record, environment={**record.environment, **environment})}


def test_a_sweep_goes_on_where_nothing_has_changed(tmp_path: Path) -> None:
    sweep = create(tmp_path, asked(*ARMS), [])
    check_same(tmp_path, sweep, asked(*ARMS), first(sweep, asked(*ARMS)))


def test_a_sweep_does_not_go_on_with_another_plan_machine_or_configuration(tmp_path: Path) -> None:
    sweep = create(tmp_path, asked(*ARMS), [])
    now = asked(*ARMS)
    assert "its command now makes other trials" in refused(tmp_path, sweep, asked(*ARMS, "load.seed=2"), {})
    assert "cores 448, but here it is" in refused(tmp_path, sweep, now, first(sweep, now, cores=448))
    packages = {**describe()["packages"], "ray": "1.0"}
    said = refused(tmp_path, sweep, now, first(sweep, now, packages=packages))
    assert "packages ray 1.0, but here it is ray 2" in said
    more = [
        replace(arm, config=replace(arm.config, load=replace(arm.config.load, requests=5)))
        for arm in now.arms
    ]
    said = refused(tmp_path, sweep, replace(now, arms=more), first(sweep, now))
    assert "other values of load.requests" in said


def test_a_sweep_goes_on_after_a_commit_that_leaves_the_measured_code_alone(tmp_path: Path) -> None:
    sweep = create(tmp_path, asked(*ARMS), [])
    now = asked(*ARMS)
    check_same(tmp_path, sweep, now, first(sweep, now, git_revision="abc123", git_clean=True))


def test_a_sweep_does_not_go_on_with_other_code(tmp_path: Path) -> None:
    sweep = create(tmp_path, asked(*ARMS), [])
    now = asked(*ARMS)
    committed = first(sweep, now, code="0123", git_revision="abc123", git_clean=True)
    said = refused(tmp_path, sweep, now, committed)
    assert "measured with code 0123 (git abc123), but here it is " in said
    assert "check out abc123, or start a new sweep" in said
    edited = first(sweep, now, code="0123", git_clean=False)
    assert "restore vbench, conf, pyproject.toml, constraints.txt" in refused(tmp_path, sweep, now, edited)
    older = first(sweep, now, code=None, git_revision="abc123", git_clean=True)
    assert "measured with git_revision abc123" in refused(tmp_path, sweep, now, older)


def test_a_sweep_does_not_go_on_with_another_ffmpeg_or_video(tmp_path: Path) -> None:
    sweep = create(tmp_path / "s", asked(*ARMS), [])
    now = asked(*ARMS)
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"as it was")
    measured = first(sweep, now)["0"]
    assert measured.clip is not None
    digest = xxhash.xxh3_128(b"as it was").hexdigest()
    record = replace(measured, clip=replace(measured.clip, path=str(video), fingerprint=digest))
    check_same(tmp_path / "s", sweep, now, {"0": record})
    video.write_bytes(b"as it is")
    assert f"a video that {video} no longer holds" in refused(tmp_path / "s", sweep, now, {"0": record})
    other = replace(measured, clip=replace(measured.clip, ffmpeg="n1"))
    assert "measured with FFmpeg n1, but here it is" in refused(tmp_path / "s", sweep, now, {"0": other})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_trials_that_mlflow_lacks_are_logged(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = all_measured(here / "s", "mode=chunked,combined")
    tracker = Tracker(mlflow_runs.with_database(here / "outputs"), "vbench")
    assert tracker.log(here / "s" / "0")

    assert run(["resume=s"]) == 0

    said = capsys.readouterr().out
    assert "logged 1 of 2 earlier trials that MLflow was missing" in said
    arms = "--baseline {} --candidate {}".format(*(planned.arm for planned in sweep.trials))
    assert f"compare two arms with: vbench compare {here / 's'} {arms}" in said

    assert run(["resume=s"]) == 0

    assert "logged to MLflow" not in capsys.readouterr().out
    runs = mlflow_runs.runs(here / "outputs", "vbench", "params.mode != ''")
    assert sorted(one.data.tags["vbench.trial_id"] for one in runs) == ["0", "1"]


def test_a_comparison_that_fails_is_a_failure_and_loses_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = all_measured(here / "s", "runtime=oss,anyscale", "tracking=off")
    (here / "s" / "comparison.md").mkdir()
    before = [(here / "s" / planned.folder / TRIAL).read_bytes() for planned in sweep.trials]

    assert run(["resume=s"]) == 1

    said = capsys.readouterr().out
    assert "the comparison failed: " in said
    assert f"Compare them with: vbench compare {here / 's'}" in said
    assert "Traceback" not in said
    assert (here / "s" / CRASH).read_text().startswith("Traceback")
    assert "comparison.md" in (here / "s" / CRASH).read_text()
    assert [(here / "s" / planned.folder / TRIAL).read_bytes() for planned in sweep.trials] == before

    (here / "s" / "comparison.md").rmdir()

    assert run(["resume=s"]) == 0

    assert (here / "s" / "comparison.md").is_file()
    assert not (here / "s" / CRASH).exists()
