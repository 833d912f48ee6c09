"""A node that the command line takes out of the configuration."""

import pytest

from vbench.errors import ConfigError
from vbench.run.arm_names import arm_settings
from vbench.run.compose import compose_configs, compose_trials

EMULATED = ("cluster=emulated",)
WITHOUT_CHUNK1, WITHOUT_CHUNK2 = "~cluster.nodes.chunk1", "~cluster.nodes.chunk2"


def test_a_node_can_be_taken_out() -> None:
    (config,) = compose_configs(
        [*EMULATED, WITHOUT_CHUNK2, "cluster.deployments.service.replicas=1"], multirun=False
    )
    assert list(config.cluster.nodes) == ["head", "gpu", "chunk1", "decode"]


def test_a_transfer_needs_no_node_for_the_pipeline() -> None:
    (config,) = compose_configs([*EMULATED, "load=transfer", WITHOUT_CHUNK1, WITHOUT_CHUNK2], multirun=False)
    assert list(config.cluster.nodes) == ["head", "gpu", "decode"]


def test_a_resource_can_be_taken_out() -> None:
    resource = "cluster.deployments.service.resources.chunk_only"
    (config,) = compose_configs([f"~{resource}"], multirun=False)
    assert config.cluster.deployments.service.resources == {}


def test_a_node_that_is_out_shows_in_the_arms_name() -> None:
    asked = compose_trials([*EMULATED, "load=transfer", WITHOUT_CHUNK2], multirun=False)
    assert asked.given == ("cluster", "load", "cluster.nodes.chunk2")
    assert arm_settings(asked.configs[0], asked.given)["cluster.nodes.chunk2"] == "none"


def test_a_node_is_out_of_all_arms_of_a_sweep() -> None:
    asked = compose_trials(
        [*EMULATED, "load=transfer", "runtime=oss,anyscale", WITHOUT_CHUNK2], multirun=True
    )
    assert [list(arm.cluster.nodes) for arm in asked.configs] == [["head", "gpu", "chunk1", "decode"]] * 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ([WITHOUT_CHUNK2], "cluster.deployments.service has 2 replicas and at most 1 per node"),
        ([WITHOUT_CHUNK2], "give cluster.deployments.service.replicas=1, or"),
        ([WITHOUT_CHUNK1, WITHOUT_CHUNK2], "need 0.0002 chunk_only in total, and cluster.nodes have 0; give"),
        ([WITHOUT_CHUNK1, WITHOUT_CHUNK2], "as in +cluster.nodes.decode.resources.chunk_only=1"),
        ([WITHOUT_CHUNK2, WITHOUT_CHUNK2], "contradict each other"),
        ([WITHOUT_CHUNK2, "cluster.nodes.chunk2.cpus=1"], "contradict each other"),
        (["cluster.nodes.chunk2.cpus=1", WITHOUT_CHUNK2], "contradict each other"),
        (
            [f"~cluster.nodes.{name}" for name in ("head", "gpu", "chunk1", "chunk2", "decode")],
            "cluster=emulated needs at least one node, but cluster.nodes is empty",
        ),
    ],
)
def test_what_a_node_is_needed_for_is_said(line: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compose_configs([*EMULATED, *line], multirun=False)
    assert said in str(refused.value)


def test_a_local_cluster_has_its_one_node_and_says_which_to_leave_out() -> None:
    with pytest.raises(ConfigError) as refused:
        compose_configs(["++cluster.nodes={new: {cpus: 1}}"], multirun=False)
    assert "cluster.nodes names 2 (head, new): leave out new, or choose cluster=emulated." in str(
        refused.value
    )
    with pytest.raises(ConfigError, match=r"leave out what deletes them, such as ~cluster\.nodes\.head\."):
        compose_configs(["~cluster.nodes.head"], multirun=False)


def test_the_remedy_for_a_missing_resource_composes() -> None:
    remedies = ("+cluster.nodes.decode.resources.chunk_only=1", "cluster.deployments.service.replicas=1")
    (config,) = compose_configs([*EMULATED, WITHOUT_CHUNK1, WITHOUT_CHUNK2, *remedies], multirun=False)
    assert config.cluster.nodes["decode"].resources == {"decode_only": 1, "chunk_only": 1}
