"""What a trial makes of a running cluster: names, resources and places, from the list of its nodes alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.cli.manifests.groups import head_and_workers
from vbench.clusters.attached.discovery import changes, describe
from vbench.clusters.attached.graph_placement import place
from vbench.clusters.attached.node_matching import ClusterNode, match
from vbench.clusters.attached.roles import assign
from vbench.config.schema import Config, NodeConfig
from vbench.errors import ConfigError, InputError
from vbench.run.compose import compose_configs, compose_trials
from vbench.run.discovered_nodes import describe_placement, placed_on
from vbench.run.session import run
from vbench.run.validate import problems

ADDRESS = "http://h:8265"


def ray_node(
    number: int, *, head: bool = False, cpus: int = 4, gpus: int = 0, **custom: float
) -> ClusterNode:
    """As the State API lists it, with the resources that Ray adds itself."""
    resources = {"CPU": cpus, "memory": 7.6e9, "object_store_memory": 3_287_654_400, **custom}
    resources |= {f"node:10.0.0.{number}": 1.0, **({"GPU": gpus, "accelerator_type:A10G": 1} if gpus else {})}
    if head:
        resources["node:__internal_head__"] = 1.0
    return ClusterNode(ip=f"10.0.0.{number}", is_head=head, resources=resources)


ONE = [ray_node(1, head=True, cpus=2)]
PUBLISHED = [
    ray_node(1, head=True, cpus=0),
    ray_node(5, cpus=64, chunk_only=1),
    ray_node(20, cpus=64, chunk_only=1),
    ray_node(3, cpus=64, decode_only=1),
    ray_node(4, cpus=96, gpus=4, infer_only=1),
]
SIX = [
    ray_node(1, head=True, cpus=0),
    *(ray_node(number) for number in (2, 3, 4)),
    *(ray_node(number, infer_only=1) for number in (5, 6)),
]
PLAIN = [ray_node(1, head=True), ray_node(2), ray_node(3)]


def placed(alive: list[ClusterNode], *overrides: str) -> Config:
    """The configuration of a trial on these nodes; without problems."""
    (config,) = compose_configs(["cluster=attached", *overrides], multirun=False)
    config = replace(config, cluster=replace(config.cluster, nodes=describe(alive, ADDRESS)))
    keys = {line.lstrip("+").partition("=")[0] for line in overrides}
    config = replace(config, cluster=replace(config.cluster, deployments=place(config, keys)))
    assert problems(config) == []
    return config


def stages(config: Config) -> dict[str, list[str]]:
    parts = config.cluster.deployments
    return {
        "service": parts.service.nodes,
        "decoder": parts.decoder.nodes,
        "inference": parts.inference.nodes,
    }


def test_one_plain_node_takes_everything_as_a_local_cluster_does() -> None:
    config = placed(ONE)
    parts = config.cluster.deployments

    assert config.cluster.nodes == {"head": NodeConfig(cpus=2, object_store_mb=3200)}
    assert stages(config) == {"service": [], "decoder": [], "inference": []}
    assert (parts.decoder.replicas, parts.decoder.cpus) == (2, 1)
    assert (parts.inference.replicas, parts.inference.cpus, parts.service.replicas) == (1, 0, 1)


def test_the_published_nodes_are_placed_as_published() -> None:
    config = placed(PUBLISHED, "model.device=cuda")
    (published,) = compose_configs(["cluster=attached_aws", "model.device=cuda"], multirun=False)

    assert list(config.cluster.nodes) == list(published.cluster.nodes)
    for name in ("service", "decoder", "inference"):
        ours, theirs = (getattr(one.cluster.deployments, name) for one in (config, published))
        assert replace(ours, nodes=[], resources={}) == replace(theirs, resources={}), name
    assert stages(config) == {"service": ["chunk1", "chunk2"], "decoder": ["decode"], "inference": ["gpu"]}
    for name, node in config.cluster.nodes.items():
        described = published.cluster.nodes[name]
        assert (node.cpus, node.gpus, node.resources) == (described.cpus, described.gpus, described.resources)


@given(order=st.permutations(range(len(PUBLISHED))))
def test_names_do_not_depend_on_the_order_of_the_list(order: list[int]) -> None:
    nodes = describe([PUBLISHED[place] for place in order], ADDRESS)
    assert list(nodes) == ["head", "gpu", "chunk1", "chunk2", "decode"]
    found = {node.name: node.ip for node in match(nodes, PUBLISHED, ADDRESS)}
    assert found == {
        "head": "10.0.0.1",
        "gpu": "10.0.0.4",
        "chunk1": "10.0.0.5",
        "chunk2": "10.0.0.20",
        "decode": "10.0.0.3",
    }


def test_nodes_without_a_role_take_what_no_other_node_is_for() -> None:
    config = placed(SIX)
    parts = config.cluster.deployments

    assert list(config.cluster.nodes) == ["head", "infer1", "infer2", "node1", "node2", "node3"]
    assert stages(config) == {
        "service": ["node1", "node2", "node3"],
        "decoder": ["node1", "node2", "node3"],
        "inference": ["infer1", "infer2"],
    }
    assert (parts.decoder.replicas, parts.inference.replicas) == (12, 3)


@pytest.mark.parametrize(
    ("alive", "decoder", "inference"),
    [
        (PLAIN, ["node1"], ["node2"]),
        (PLAIN[:2], ["head"], ["node1"]),
        ([ray_node(1, head=True, cpus=0), ray_node(2)], ["node1"], ["node1"]),
        ([ray_node(1, head=True), ray_node(2, gpus=1)], ["head"], ["gpu"]),
        ([*PLAIN, ray_node(9, decode_only=1)], ["decode"], ["node1", "node2"]),
    ],
)
def test_a_cluster_without_all_roles_has_a_place_for_each_stage(
    alive: list[ClusterNode], decoder: list[str], inference: list[str]
) -> None:
    found = stages(placed(alive))
    assert (found["decoder"], found["inference"]) == (decoder, inference)


def test_what_the_command_line_sets_stays() -> None:
    config = placed(
        PLAIN,
        "cluster.deployments.inference.nodes=[node1]",
        "cluster.deployments.decoder.cpus=2",
        "cluster.deployments.inference.cpus=0",
        "cluster.deployments.service.replicas=1",
    )
    parts = config.cluster.deployments

    assert stages(config)["inference"] == ["node1"]
    assert stages(config)["decoder"] == ["node2"]
    assert (parts.decoder.cpus, parts.decoder.replicas) == (2, 2)
    assert (parts.inference.cpus, parts.service.replicas) == (0, 1)


def test_an_ambiguous_cluster_is_refused_with_the_override_that_decides() -> None:
    alive = [ray_node(1, head=True), ray_node(2, chunk_only=1), ray_node(3, decode_only=1)]
    with pytest.raises(InputError, match=r"no node of the cluster \(head, chunk, decode\)") as caught:
        placed(alive)
    remedy = str(caught.value).rpartition(" ")[2].strip("'.")

    assert stages(placed(alive, remedy.strip("'\"")))["inference"] == ["decode"]


@pytest.mark.parametrize(
    ("alive", "said"),
    [
        ([ray_node(1, head=True), ray_node(2), ray_node(2)], "has 2 nodes with the address 10.0.0.2"),
        ([ray_node(2)], "lists no head among its 1 nodes"),
    ],
)
def test_nodes_that_cannot_be_told_apart_are_refused(alive: list[ClusterNode], said: str) -> None:
    with pytest.raises(InputError, match=said):
        describe(alive, ADDRESS)


def test_a_model_on_a_gpu_needs_one() -> None:
    with pytest.raises(InputError, match=r"no node of the cluster has a GPU.*give model.device=cpu"):
        assign(describe(PLAIN, ADDRESS), on_gpu=True, given={})


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("cluster.deployments.decoder.nodes=[node7]",), "there is no node node7; did you mean 'node"),
        (
            (
                "cluster.deployments.decoder.nodes=[node1]",
                "cluster.deployments.decoder.replicas=9",
                "cluster.deployments.decoder.cpus=1",
            ),
            "has 9 replicas, and its nodes (node1) have room for 4: lower",
        ),
    ],
)
def test_a_place_without_room_is_refused(overrides: tuple[str, ...], said: str) -> None:
    (config,) = compose_configs(["cluster=attached", *overrides], multirun=False)
    config = replace(config, cluster=replace(config.cluster, nodes=describe(PLAIN, ADDRESS)))
    assert said in " ".join(problems(config))


def test_a_changed_cluster_is_noticed_and_a_store_rounded_up_is_not() -> None:
    before = describe(PUBLISHED, ADDRESS)
    assert changes(before, before) == []
    grown = {**before, "gpu": replace(before["gpu"], object_store_mb=9000)}
    assert changes(before, grown) == []
    other = {name: node for name, node in before.items() if name != "chunk2"}
    other["decode"] = replace(before["decode"], cpus=32)
    assert changes(before, other) == ["chunk2 is gone", "decode has cpus=32 instead of 64"]


def test_a_configuration_is_shown_without_asking_the_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cluster=attached", "cluster.address=http://127.0.0.1:9", "--cfg", "job"]) == 0
    assert "nodes: {}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        (("cluster.nodes.gpu.cpus=48",), ["head", "gpu", "chunk1", "chunk2", "decode"]),
        (
            ("~cluster.nodes.chunk2", "cluster.deployments.service.replicas=1"),
            ["head", "gpu", "chunk1", "decode"],
        ),
        (("+cluster.nodes.gpu.resources.a=1",), ["head", "gpu", "chunk1", "chunk2", "decode"]),
    ],
)
def test_a_command_line_that_names_nodes_starts_from_the_published_ones(
    overrides: tuple[str, ...], names: list[str]
) -> None:
    (config,) = compose_configs(["cluster=attached", *overrides], multirun=False)
    assert (config.cluster.name, list(config.cluster.nodes)) == ("attached", names)


def test_manifests_need_nodes() -> None:
    (config,) = compose_configs(["cluster=attached"], multirun=False)
    with pytest.raises(ConfigError, match=r"cluster=attached describes no nodes.*choose cluster=aws"):
        head_and_workers(config.cluster)


def test_what_was_found_is_said_in_one_line() -> None:
    assert describe_placement(placed(PLAIN)) == (
        "nodes found: head (4 CPU), node1 (4 CPU), node2 (4 CPU); placed: 1 service on node1; 4 decoder on"
        " node1; 1 inference on node2"
    )


def test_transfers_need_no_place_for_a_model() -> None:
    """Only the nodes count: an arm of another workload is not refused for what it does not deploy."""
    alive = [ray_node(1, head=True), ray_node(2, chunk_only=1), ray_node(3, decode_only=1)]
    arm = compose_trials(["cluster=attached", "load=transfer"], multirun=False).arms[0]
    config = placed_on(arm, describe(alive, ADDRESS)).config
    assert describe_placement(config) == (
        "nodes found: head (4 CPU), chunk (4 CPU, chunk_only), decode (4 CPU, decode_only)"
    )
