"""A cluster that is configured in short: groups of equal hosts, rates of one host, a default placement."""

from dataclasses import asdict
from pathlib import Path

import pytest

from vbench.cli.manifests.groups import head_and_workers
from vbench.clusters.emulated.topology import events, hosts
from vbench.config.schema import Config, from_plain
from vbench.errors import ConfigError
from vbench.record.fingerprint import fingerprint
from vbench.record.question import question
from vbench.run.arm_names import arm_settings
from vbench.run.compose import compose_one

MINE = """\
# six small hosts
name: emulated
flow_mbps: 1000
scale: 20
nodes:
  head: {cpus: 0, object_store_mb: 100, nic_mbps: 1000}
  worker: {count: 4, cpus: 1, object_store_mb: 200, nic_mbps: 2000}
  slow: {cpus: 1, object_store_mb: 200, nic_mbps: 500, flow_mbps: 200}
"""

WORKERS = [f"worker{number}" for number in range(1, 5)]


@pytest.fixture(autouse=True)
def users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "vbench_conf" / "cluster" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return file


def mine(*overrides: str) -> Config:
    return compose_one(["cluster=mine", *overrides])


def test_a_group_becomes_hosts_with_numbers() -> None:
    cluster = mine().cluster
    assert list(cluster.nodes) == ["head", *WORKERS, "slow"]
    assert all(node.count is None for node in cluster.nodes.values())
    assert [host.ip for host in hosts(cluster)] == [f"10.77.0.{number}" for number in range(1, 7)]
    assert list(mine("cluster.nodes.worker.count=1").cluster.nodes) == ["head", "worker1", "slow"]
    assert list(mine("cluster.nodes.worker.count=null").cluster.nodes) == ["head", "worker", "slow"]
    config = mine()
    assert from_plain(asdict(config)) == config


def test_a_host_can_have_a_cap_of_its_own_for_each_flow() -> None:
    by_name = {host.name: host for host in hosts(mine().cluster)}
    assert (by_name["worker1"].flow_mbps, by_name["slow"].flow_mbps) == (50, 10)
    own = [f"cluster.nodes.{name}.flow_mbps=200" for name in ("head", "worker")]
    assert {host.flow_mbps for host in hosts(mine("cluster.flow_mbps=null", *own).cluster)} == {10}


def test_hosts_and_rates_are_enough_for_a_trial() -> None:
    config = mine()
    resources = {name: set(node.resources) for name, node in config.cluster.nodes.items()}
    chunkers = {name: {"chunk_only"} for name in WORKERS[1:]}
    assert resources == {"head": set(), "worker1": {"infer_only"}, **chunkers, "slow": {"decode_only"}}
    deployments = config.cluster.deployments
    assert deployments.service.replicas == 2
    assert set(deployments.inference.resources) == {"infer_only"}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "worker.count=0",
            "cluster.nodes.worker.count=0 must be 1 or more, or null for one node named worker",
        ),
        ("worker.count=1001", "cluster.nodes.worker.count=1001 is more than the 1000 nodes"),
        ("worker.count=260", "cluster.nodes has 262 nodes, and an emulated network has addresses for 254"),
        ("worker.count=200", "runtime.connections=2 to 201 peers makes 402 connections per node"),
        ("head.count=2", "cluster.nodes.head.count=2: the first node is the head, and there is one head"),
        ("slow.flow_mbps=0", "cluster.nodes.slow.flow_mbps=0 must be above 0"),
        ("slow.flow_mbps=600", "cluster.nodes.slow.flow_mbps=600 is above cluster.nodes.slow.nic_mbps=500"),
        (
            "slow.flow_mbps=50",
            "cluster.nodes.slow.flow_mbps=50 divided by cluster.scale=20 leaves 2.5 Mbit/s",
        ),
        (
            "worker2.cpus=2",
            "'cluster.nodes.worker2.cpus' does not exist: in 'cluster.nodes' did you mean 'worker'?",
        ),
    ],
)
def test_a_shape_that_cannot_be_is_refused_in_a_sentence(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        mine(f"cluster.nodes.{override}")
    assert str(refusal.value).startswith(sentence)


def test_names_of_a_group_must_be_free(users_folder: Path) -> None:
    users_folder.write_text(f"{MINE}  worker3: {{nic_mbps: 1000}}\n")
    with pytest.raises(
        ConfigError, match=r"cluster.nodes.worker.count=4 makes a node worker3, and there is one"
    ):
        mine()


def test_a_file_without_a_kind_says_what_to_write(users_folder: Path) -> None:
    users_folder.write_text(MINE.replace("name: emulated\n", ""))
    with pytest.raises(ConfigError, match="names no kind: write 'name: emulated' into it"):
        mine()


def test_a_cap_of_a_flow_needs_shaped_links() -> None:
    with pytest.raises(ConfigError, match=r"cluster.nodes.head.flow_mbps=5 applies only to cluster=emulated"):
        compose_one(["cluster.nodes.head.flow_mbps=5"])


def test_manifests_get_the_group_back() -> None:
    config = compose_one(["cluster=aws", "~cluster.nodes.chunk2", "cluster.nodes.chunk1.count=2"])
    _, groups = head_and_workers(config.cluster)
    assert {group.name: group.count for group in groups} == {"gpu": 1, "chunk": 2, "decode": 1}


def test_what_is_not_set_changes_no_fingerprint() -> None:
    plain = asdict(compose_one(["cluster=emulated"]))
    before = {**plain, "cluster": {**plain["cluster"], "nodes": {}}}
    for name, node in plain["cluster"]["nodes"].items():
        kept = {key: value for key, value in node.items() if key not in ("count", "flow_mbps")}
        before["cluster"]["nodes"][name] = kept
    assert question(before) == question(plain)
    assert fingerprint(before) == fingerprint(plain)
    plain["cluster"]["nodes"]["gpu"]["flow_mbps"] = 5000.0
    assert question(before) != question(plain)


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ("{at_s: -1, node: slow, nic_mbps: 400}", "cluster.events[0] needs at_s, 0 or more seconds"),
        ("{node: slow, nic_mbps: 400}", "cluster.events[0] needs at_s, 0 or more seconds"),
        (
            "{at_s: 1, node: slwo, nic_mbps: 400}",
            "cluster.events[0] needs node, one of the cluster's:",
        ),
        (
            "{at_s: 1, node: worker, nic_mbps: 400}",
            "cluster.events[0] needs node, one of the cluster's:",
        ),
        ("{at_s: 1, node: slow}", "cluster.events[0] changes nothing: give it nic_mbps or flow_mbps"),
        ("{at_s: 1, node: slow, nic_mbps: 0}", "cluster.events[0].nic_mbps=0 must be above 0, in Mbit/s"),
        (
            "{at_s: 1, node: slow, nic_mbps: 50}",
            "cluster.events[0].nic_mbps=50 divided by cluster.scale=20",
        ),
    ],
)
def test_an_event_that_cannot_be_is_refused_in_a_sentence(event: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        mine(f"cluster.events=[{event}]")
    assert str(refusal.value).startswith(sentence)


def test_events_are_divided_by_the_scale_and_in_order() -> None:
    given = "[{at_s: 9, node: slow, nic_mbps: 400}, {at_s: 3, node: worker2, flow_mbps: 500}]"
    config = mine(f"cluster.events={given}")
    first, second = events(config.cluster)
    assert (first.at_s, first.node, first.nic_mbps, first.flow_mbps) == (3, "worker2", None, 25)
    assert (second.at_s, second.node, second.nic_mbps, second.flow_mbps) == (9, "slow", 20, None)
    assert from_plain(asdict(config)) == config
    plain = asdict(mine())
    assert question(plain) != question(asdict(config))
    del plain["cluster"]["events"]
    assert question(plain) == question(asdict(mine()))


def test_events_need_shaped_links() -> None:
    with pytest.raises(ConfigError, match=r"cluster.events applies only to cluster=emulated"):
        compose_one(["cluster.events=[{at_s: 1, node: head, nic_mbps: 5}]"])


def test_an_arm_is_named_by_what_was_given_of_a_group_and_of_events() -> None:
    config = mine("cluster.nodes.worker.count=2", "cluster.events=[{at_s: 9, node: slow, nic_mbps: 400}]")
    shown = arm_settings(
        config, ["cluster.nodes.worker.count", "cluster.nodes.worker.nic_mbps", "cluster.events"]
    )
    assert list(shown.values()) == ["2", "2000", "[{at_s: 9, node: slow, nic_mbps: 400}]"]
    assert arm_settings(config, ["cluster.nodes.gone"]) == {"cluster.nodes.gone": "none"}
