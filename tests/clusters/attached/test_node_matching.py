"""Which node of a running cluster is which of the configuration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.clusters.attached.node_matching import ClusterNode, match
from vbench.config.schema import NodeConfig
from vbench.errors import InputError

ADDRESS = "http://h:8265"


def configured(**resources: float) -> NodeConfig:
    return NodeConfig(cpus=4, object_store_mb=200, resources=dict(resources))


PUBLISHED = {
    "head": NodeConfig(cpus=0, object_store_mb=200),
    "gpu": NodeConfig(cpus=4, gpus=2, object_store_mb=200, resources={"infer_only": 1}),
    "chunk1": configured(chunk_only=1),
    "chunk2": configured(chunk_only=1),
    "decode": configured(decode_only=1),
    "spare": configured(),
}


def running(nodes: dict[str, NodeConfig], more: float = 0) -> list[ClusterNode]:
    """Nodes that have what is asked, or a share more; the last of the address is the place in the list."""
    return [
        ClusterNode(
            ip=f"10.0.0.{place + 9}",
            is_head=place == 0,
            resources={
                "CPU": (node.cpus or 0) * (1 + more),
                "GPU": node.gpus,
                "object_store_memory": node.object_store_mb * 1e6 * (1 + more),
                "memory": 1e9,
                **node.resources,
            },
        )
        for place, node in enumerate(nodes.values())
    ]


@given(order=st.permutations(range(len(PUBLISHED))), more=st.floats(0, 3))
def test_every_node_finds_its_own_whatever_the_order(order: list[int], more: float) -> None:
    """A node that asks for nothing special must not take one that another needs."""
    there = running(PUBLISHED, more)
    found = match(PUBLISHED, [there[place] for place in order], ADDRESS)
    assert [node.name for node in found] == list(PUBLISHED)
    addresses = {node.name: node.ip for node in found}
    assert addresses == {name: there[place].ip for place, name in enumerate(PUBLISHED)}


def without(name: str) -> list[ClusterNode]:
    return [found for each, found in zip(PUBLISHED, running(PUBLISHED), strict=True) if each != name]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (without("gpu"), "no node for cluster.nodes.gpu: "),
        (without("head"), "no node for cluster.nodes.head: "),
        ([], "no node for cluster.nodes.head: it has no nodes"),
        (
            [*running(PUBLISHED), ClusterNode(ip="10.0.0.99", is_head=False, resources={"CPU": 64})],
            "has 7 nodes, but cluster.nodes names 6: 10.0.0.99 would take part without being sampled",
        ),
    ],
)
def test_a_cluster_that_is_another_is_refused(there: list[ClusterNode], said: str) -> None:
    with pytest.raises(InputError) as caught:
        match(PUBLISHED, there, ADDRESS)
    assert said in str(caught.value)
    assert ADDRESS in str(caught.value)


def test_what_the_nearest_lacks_is_said() -> None:
    small = {**PUBLISHED, "gpu": NodeConfig(cpus=2, gpus=1, object_store_mb=100, resources={"infer_only": 1})}
    with pytest.raises(InputError) as caught:
        match(PUBLISHED, running(small), ADDRESS)
    assert (
        "the closest is 10.0.0.10, which lacks 2 GPU (has 1), 200 MB of object store (has 100), 4 CPU"
        in str(caught.value)
    )
