"""``vbench cluster``: bad input ends in a sentence, and what a killed cluster left is cleared away."""

import json
from dataclasses import asdict

import pytest

from tests.support.runs import Workplace
from vbench.cli.cluster.up import configuration
from vbench.clusters.emulated import state
from vbench.errors import ConfigError, InputError

NONE_THERE = "vbench: there is no cluster 'default': start one with 'vbench cluster up'"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("upp",),
            "vbench: there is no command cluster upp: did you mean 'up'? (there are: down, exec, status, up)",
        ),
        (("exec", "head", "--", "true"), NONE_THERE),
        (("down",), NONE_THERE),
        (
            ("down", "--name", "b"),
            "vbench: there is no cluster 'b': start one with 'vbench cluster up --name b'",
        ),
        (("down", "--all", "--name", "b"), "vbench: --all and --name b contradict each other: leave one out"),
        (
            ("status", "--name", "b"),
            "vbench: there is no cluster 'b': start one with 'vbench cluster up --name b'",
        ),
        (
            ("exec", "--name", "../b", "head"),
            "vbench: --name '../b' cannot be the name of a cluster: take up to 32",
        ),
        (("exec",), "vbench: name a host, as in: vbench cluster exec head -- ray status"),
        (
            ("up", "cluster.flow_mps=3"),
            "'cluster.flow_mps' does not exist: in 'cluster' did you mean 'flow_mbps'?",
        ),
        (
            ("up", "cluster=local"),
            "vbench: 'vbench cluster up' starts emulated clusters, and cluster=local is none",
        ),
        (
            ("up", "cluster.nodes.gpu.object_store_mb=900000"),
            "vbench: cluster=emulated cannot run here: free memory",
        ),
    ],
)
def test_bad_input_ends_in_a_sentence_and_starts_nothing(
    workplace: Workplace, arguments: tuple[str, ...], sentence: str
) -> None:
    status, output = workplace.run("cluster", *arguments)
    assert status == 2, output
    (line,) = output.splitlines()
    assert sentence in line
    assert workplace.left() == []


def test_status_says_that_nothing_runs_and_how_to_start_it(workplace: Workplace) -> None:
    status, output = workplace.run("cluster", "status")
    assert (status, output) == (1, "no cluster runs: start one with 'vbench cluster up'\n")


def test_nothing_need_be_deployed_on_a_cluster_by_itself() -> None:
    overrides = [f"~cluster.nodes.{name}" for name in ("chunk1", "chunk2", "decode")]
    config = configuration(overrides)
    assert list(config.cluster.nodes) == ["head", "gpu"]
    assert config.cluster.dashboard_port == 8265
    with pytest.raises(ConfigError, match="one configuration"):
        configuration(["runtime=oss,anyscale"])


def test_what_a_killed_cluster_has_left_is_cleared_away_by_the_next_command(workplace: Workplace) -> None:
    temp_dir, folder = workplace.temp / "vb-01234567", workplace.temp / "vbench-cluster-0-default"
    folder = folder.with_name(f"vbench-cluster-{folder.parent.stat().st_uid}-default")
    for made in (temp_dir, folder):
        made.mkdir()
    (temp_dir / "control").touch()
    (folder / "lock").touch()
    left = state.ClusterState(
        name="default", keeper=1, started_unix_s=0, temp_dir=str(temp_dir), log="", runtime="oss", scale=1
    )
    (folder / "cluster.json").write_text(json.dumps(asdict(left)))
    status, output = workplace.run("cluster", "down")
    assert status == 2, output
    assert output.strip() == NONE_THERE
    assert workplace.left() == []


def test_one_cluster_of_a_name_at_a_time(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(workplace.temp))
    with state.claimed("one") as (folder, _):
        assert state.names() == ["one"]
        with pytest.raises(InputError, match="the cluster 'one' is already there"), state.claimed("one"):
            pass
        with state.claimed("two"):
            assert state.names() == ["one", "two"]
        with pytest.raises(InputError, match="the cluster 'one' is not ready yet"):
            state.running("one")
    assert not folder.exists()
    assert state.names() == []


def test_a_folder_of_somebody_else_is_not_touched(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(workplace.temp))
    target = workplace.folder / "target"
    target.mkdir()
    link = state.folder_of("one")
    link.symlink_to(target)
    with pytest.raises(InputError, match="is not a folder of yours"), state.claimed("one"):
        pass
    link.unlink()
    assert target.is_dir()
