"""What is wrong with an override is said in one sentence, and its remedy works when it is pasted."""

import shlex

import pytest

from tests.support.refusals import refused
from vbench.cli.manifests.command import main as render
from vbench.errors import ConfigError
from vbench.run.compose import compose_one, compose_trials


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ("load.requests=range(4,8,0)", "the step of a range must not be 0"),
        ("load.requests=range(0,1e9)", "a sweep can have at most 1000 arms"),
        ("load.requests=range(0,inf)", "a sweep can have at most 1000 arms"),
        ("load.requests=range(4,8,-1)", "this range holds no value"),
        ("mode=choice()", "name the values one by one, as in mode=A,B"),
        ("load.requests=sort(1,a,3)", "name the values one by one, as in load.requests=A,B"),
        ("mode=chunked,", "has a comma too many: give mode=chunked;"),
        ("mode=,chunked,,combined", "has a comma too many: give mode=chunked,combined;"),
    ],
)
def test_a_sweep_that_cannot_be_expanded_is_refused(sweep: str, says: str) -> None:
    assert says in refused(sweep, multirun=True)


@pytest.mark.parametrize(
    ("sweep", "remedy"),
    [
        ("load.requests=range(4,8,0)", '"load.requests=range(4,8,1)"'),
        ("load.requests=range(4,8,-2)", '"load.requests=range(4,8,2)"'),
        ("load.requests=range(8,4)", '"load.requests=range(8,4,-1)"'),
        ("pipeline.chunk_s=range(1.5,0.5,0.5)", '"pipeline.chunk_s=range(1.5,0.5,-0.5)"'),
        ("load.requests=range(5,5)", "load.requests=5"),
        ("blocks=2,3", "blocks=2"),
        ("+experiments=aa,connections", "+experiments=aa"),
        ("experiments=aa", "+experiments=aa"),
    ],
)
def test_the_remedy_for_a_sweep_composes(sweep: str, remedy: str) -> None:
    assert f" {remedy}." in refused(sweep, multirun=True)
    compose_trials(shlex.split(remedy), multirun=True)


def test_a_sweep_of_more_arms_than_anybody_can_run_is_refused() -> None:
    sweep = ["load.seed=range(0,1000)", "mode=chunked,combined"]
    assert "load.seed, mode make 2,000 arms, and a sweep can have at most 1,000" in refused(
        *sweep, multirun=True
    )


@pytest.mark.parametrize(
    ("override", "remedy"),
    [
        ("load..requests=4", "load.requests=4"),
        (".load.requests=4", "load.requests=4"),
        ("load.requests.=4", "load.requests=4"),
        ("+load.requests=4", "load.requests=4"),
        ("+mode=chunked", "mode=chunked"),
        ("++load=closed", "load=closed"),
        ("mode@foo=chunked", "mode=chunked"),
        ("hydra.job.env_set.A=1", "+hydra.job.env_set.A=1"),
        ("cluster.nodes.head.resources={a:1}", "+cluster.nodes.head.resources.a=1"),
        ("cluster.nodes.head.resources.x=1", "+cluster.nodes.head.resources.x=1"),
        ("requests=8", "load.requests=8"),
        ("video=clip.mp4", "video=file video.path=clip.mp4"),
        ("pipeline.chunk_s=5s", "pipeline.chunk_s=5"),
        ("load.requests.x=8", "load.requests=8"),
        ("+load.requests.x=8", "load.requests=8"),
    ],
)
def test_the_remedy_for_a_wrong_key_or_value_composes(override: str, remedy: str) -> None:
    said = refused(override)
    assert remedy in said
    compose_trials(shlex.split(remedy), multirun=False)


@pytest.mark.parametrize("override", ["cluster.nodes={new: {cpus: 1}}", "+cluster.nodes.new={cpus: 1}"])
def test_the_remedy_for_a_node_that_is_added_composes(override: str) -> None:
    remedy = '"++cluster.nodes={new: {cpus: 1}}"'
    assert f"give it two pluses: {remedy}" in refused("cluster=emulated", override)
    assert "nodes.new.nic_mbps=null" in refused("cluster=emulated", *shlex.split(remedy))


@pytest.mark.parametrize("key", ["+cluster.nodes.head.resources.a/b", "+cluster.nodes.head.resources.node:1"])
def test_a_key_that_hydra_cannot_read_is_named_and_not_its_value(key: str) -> None:
    said = refused(f"{key}=1")
    assert f"Hydra cannot read the key '{key.lstrip('+')}'" in said
    assert "quote" not in said


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("mode=null", "mode=null does not exist"),
        ("load.requests=null", "load.requests=null: this key cannot be null"),
        ("load.requests=many", "load.requests=many must be a whole number."),
        ("pipeline.prune=maybe", "pipeline.prune=maybe must be true or false."),
        ("hydra.run.dir=", "hydra.run.dir= names no folder: give one, such as hydra.run.dir=/"),
        ("hydra.sweep.dir=", "hydra.sweep.dir= names no folder: give one, such as hydra.sweep.dir=/"),
        ("cluster.nodes.head.resources=${now:x}", "cluster.nodes.head.resources is a section"),
        ("cluster.deployments.api.resources=${now:x}", "api.resources is a section"),
        ("cluster.nodes.head=${load}", "cluster.nodes.head is a section"),
        ("cluster.addresses=${now:x}", "cluster.addresses is a section"),
        ("video.scene=${load}", "video.scene is a section"),
    ],
)
def test_a_value_that_cannot_be_is_named_as_it_was_given(override: str, says: str) -> None:
    assert says in refused(override)


@pytest.mark.parametrize(
    ("override", "cluster"),
    [
        ("cluster.address=http://host:8265", "attached"),
        ("cluster.dashboard_port=8265", "emulated"),
        ("cluster.flow_mbps=5000", "emulated"),
        ("cluster.nodes.head.nic_mbps=12500", "emulated"),
        ("cluster.scale=50", "emulated"),
    ],
)
def test_a_key_of_another_kind_of_cluster_is_left_out_or_goes_with_it(override: str, cluster: str) -> None:
    said = refused(override)
    assert f"applies only to cluster={cluster}" in said
    assert f"leave it out, or choose cluster={cluster}." in said
    compose_trials([override, f"cluster={cluster}"], multirun=False)


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (["cluster=emulated", "cluster.flow_mbps=null"], "such as cluster.flow_mbps=10000"),
        (["cluster=emulated", "cluster.flow_mbps=100"], "give cluster.scale=20"),
        (
            ["cluster=attached", "cluster.nodes.gpu.cpus=null"],
            "cluster.nodes.gpu.cpus=8",
        ),
    ],
)
def test_the_example_for_a_value_that_a_cluster_needs_composes(line: list[str], remedy: str) -> None:
    assert remedy in refused(*line)
    compose_trials([*line, remedy.rsplit(maxsplit=1)[-1]], multirun=False)


def test_a_missing_value_is_asked_for_by_its_key() -> None:
    assert "load.requests needs a value: give load.requests=VALUE" in refused("load.requests=???")
    compose_trials(["load.requests=8"], multirun=False)


def test_the_scene_is_set_with_the_option_that_has_one() -> None:
    said = refused("video=file", "video.path=clip.mp4", "video.scene.seed=3")
    assert "video.scene is null with this option: add video=scene" in said
    compose_trials(["video=scene", "video.scene.seed=3"], multirun=False)


def test_one_arm_of_a_study_can_be_given_where_the_study_cannot() -> None:
    with pytest.raises(ConfigError, match=r"and give the values of one arm, such as runtime=oss\.$"):
        compose_one(["+experiments=aa"])
    assert compose_one(["runtime=oss"]).runtime.name == "oss"


@pytest.mark.parametrize("override", ["runtime=oss,single", "+experiments=aa", "blocks=2"])
def test_a_manifest_takes_no_sweep_and_does_not_advise_one(
    override: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render(["serve", override]) == 2
    said = capsys.readouterr().err
    assert override in said
    assert "--multirun" not in said
