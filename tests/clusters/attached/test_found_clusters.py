"""Trials on clusters that nobody described: their nodes are read from Ray, and their token is found.

``test_trials`` has what comes after that, ``test_discovery`` and ``test_token`` each part of it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.emulated import SCALE, WHOLE
from tests.support.runs import ROOT, SCENE, Workplace
from tests.support.waiting import until
from vbench.clusters.emulated import cluster as emulated
from vbench.config.schema import NodeConfig
from vbench.errors import InputError
from vbench.linux.guard import supervised
from vbench.linux.ports import free_ports
from vbench.load.application import code_digest
from vbench.ray_internals.node import STARTED_LINE
from vbench.record.files import read_trial
from vbench.record.trial import Trial
from vbench.run.compose import compose_configs, compose_trials
from vbench.run.discovered_nodes import DiscoveredArm, check_unchanged, with_nodes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BOUNDS = (
    "load.sample_period_s=0.2",
    "tracking=off",
    # What else runs on the machine that tests is not what they are about.
    *("load.max_machine_cpu_percent=100", "load.max_foreign_cpu_percent=100", "load.max_stall_ms=30000"),
    *("load.max_speed_change_percent=100", "load.max_late_ms=10000", "cluster.deploy_timeout_s=240"),
)

SHORT = (*SCENE, "pipeline.chunk_s=2", "load.requests=2", "load.warmup=1", "load.concurrency=1")

EXAMPLES = ROOT / "examples"

PORTS = ("port", "dashboard-port", "dashboard-agent-listen-port", "ray-client-server-port")


APPLICATION = {
    "main.py": """
from pathlib import Path
from ray import serve
from parts.words import WORD

@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Echo:
    async def __call__(self, request):
        return WORD + Path("greeting.txt").read_text() + str(len(await request.body()))

app = Echo.bind()
""",
    "parts/words.py": "WORD = 'well '",
    "parts/judge.py": """
def right(request, response):
    return response["body"].decode() == f"well said {len(request['body'] or b'')}"
""",
    "greeting.txt": "said ",
}
"""An application, and how its responses are judged."""


@contextmanager
def plain_head(home: Path, temp: Path) -> Iterator[str]:
    """What ``ray start --head`` starts for a user with a token in the home folder; its dashboard's URL."""
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
    log = home / "ray.log"
    ports = dict(zip(PORTS, free_ports("127.0.0.1", len(PORTS)), strict=True))
    options = [f"--{name}={port}" for name, port in ports.items()]
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # On the nodes of a cluster, python is the one that has Ray, as in an image.
    env |= {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["ray", "start", "--head", "--block", f"--temp-dir={temp}", "--num-cpus=2"]
    with (
        log.open("wb") as output,
        supervised(
            [*command, "--object-store-memory=200000000", *options],
            env=env,
            folders=[temp],
            stdout=output,
            stderr=output,
        ),
    ):
        until(lambda: STARTED_LINE in log.read_text(), "ray start is done", 120)
        yield f"http://127.0.0.1:{ports['dashboard-port']}"


def places(trial: Trial) -> dict[str, set[str]]:
    """Deployment -> nodes with replicas of it."""
    assert trial.load_report is not None
    return {name: set(nodes) for name, nodes in trial.load_report.placement.items()}


@pytest.mark.long
def test_a_plain_head_needs_no_configuration(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    with plain_head(tmp_path, workplace.temp / "r") as url:
        asked = ("cluster=attached", f"cluster.address={url}", *SHORT, *BOUNDS)

        status, output = workplace.run(*asked, HOME=str(tmp_path), RAY_AUTH_TOKEN="f" * 64)
        assert status == 2, output
        assert "rejected the credentials of RAY_AUTH_TOKEN " in output

        status, output = workplace.run(*asked, HOME=str(tmp_path))

        _an_application_travels_with_the_load(workplace, tmp_path, url)

        monkeypatch.setenv("HOME", str(tmp_path))
        _a_change_is_noticed(f"cluster.address={url}")
    assert status == 0, output
    assert "nodes found: head (2 CPU); placed: 1 service on head; 2 decoder on head; 1 inference" in output
    trial = read_trial(workplace.trials()[0])
    assert trial.valid
    assert list(trial.config["cluster"]["nodes"]) == ["head"]
    assert trial.config["cluster"]["nodes"]["head"]["cpus"] == 2
    assert set().union(*places(trial).values()) == {"head"}


def _an_application_travels_with_the_load(workplace: Workplace, home: Path, url: str) -> None:
    """Its modules, check and requests are nowhere on the nodes' path; it finds its files as in its folder."""
    folder = workplace.folder / "its own"
    (folder / "parts").mkdir(parents=True)
    for name, text in APPLICATION.items():
        (folder / name).write_text(text)
    bodies = workplace.folder / "bodies"
    bodies.mkdir()
    (bodies / "body.bin").write_bytes(b"\x00\xff")
    (bodies / "lines.jsonl").write_text('{"path": "/"}\n\n{"body_file": "body.bin"}\n')
    status, output = workplace.run(
        *(
            "workload=app",
            "app.import_path=main:app",
            f"app.working_dir={folder}",
            "app.check=parts.judge:right",
        ),
        *(f"app.requests={bodies}/lines.jsonl", "load.requests=4", "load.warmup=2", "load.concurrency=2"),
        *("cluster=attached", f"cluster.address={url}", *BOUNDS),
        HOME=str(home),
    )
    assert status == 0, output
    folders = workplace.trials()
    trial = next(one for one in map(read_trial, folders) if one.config["workload"] == "app")
    assert trial.valid
    assert trial.load_report is not None
    assert trial.load_report.app is not None
    assert trial.load_report.app.code == code_digest(folder)
    assert trial.metrics["deployment_calls_per_request.Echo"] == 1
    assert "deployment_wait_mean_s.Echo" in trial.metrics, "the proxy is traced, too"
    assert places(trial) == {"Echo": {"head"}}
    rules = {rule.name: rule.observed for rule in trial.rules}
    assert rules["responses are correct"] == "4 responses checked by app.check=parts.judge:right, 0 wrong"


def _a_change_is_noticed(address: str) -> None:
    """Between the trials of a sweep; a larger store of the same node is none."""
    (arm,) = with_nodes(compose_trials(["cluster=attached", address], multirun=False)).arms
    assert isinstance(arm, DiscoveredArm)
    check_unchanged(arm)
    nodes = arm.config.cluster.nodes
    for name, change, said in (
        ("head", {"object_store_mb": 100}, None),
        ("head", {"cpus": 4}, r"head has cpus=2 instead of 4"),
        ("gpu", {}, "gpu is gone"),
    ):
        other = {**nodes, name: replace(nodes["head"], **change)}
        before = replace(arm, config=replace(arm.config, cluster=replace(arm.config.cluster, nodes=other)))
        if said is None:
            check_unchanged(before)
        else:
            with pytest.raises(InputError, match=f"the cluster has changed since the trials began .{said}"):
                check_unchanged(before)


@pytest.mark.long
def test_six_nodes_are_placed_by_role(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """One head, three nodes without a role, two for the model."""
    (config,) = compose_configs(
        ["cluster=emulated", f"cluster.scale={SCALE}", "cluster.dashboard_port=8265"], multirun=False
    )
    worker = NodeConfig(cpus=2, object_store_mb=150, nic_mbps=25000)
    nodes = {"head": replace(worker, cpus=0)} | {f"cpu{number}": worker for number in (1, 2, 3)}
    nodes |= {f"model{number}": replace(worker, resources={"infer_only": 1}) for number in (1, 2)}
    config = replace(config, cluster=replace(config.cluster, nodes=nodes, start_timeout_s=240))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    log = workplace.folder / "stranger.log"
    with emulated.start(config, log, lambda *_, **__: None) as running:
        url = f"http://{running.address.partition(':')[0]}:8265"
        token = {name: running.load_env[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
        run = workplace.start(
            *("cluster=attached", f"cluster.address={url}", *WHOLE[:-1], *BOUNDS),
            *("cluster.deployments.decoder.replicas=3", "load.warmup=3"),
            enter=running.enter,
            **token,
        )
        output, _ = run.communicate(timeout=500)
        assert run.returncode == 0, output
        (folder,) = workplace.trials()
        app = workplace.start(
            *("workload=app", "app.import_path=graph:build", f"app.working_dir={EXAMPLES / 'array_graph'}"),
            *("app.args.array_mb=1", "app.args.consumer_resource=infer_only", "app.check=json:sum"),
            *("load.requests=4", "load.warmup=2", "load.concurrency=2"),
            *("cluster=attached", f"cluster.address={url}", *BOUNDS),
            enter=running.enter,
            **token,
        )
        output, _ = app.communicate(timeout=200)
    assert app.returncode == 0, output
    (of_app,) = (one for one in map(read_trial, workplace.trials()) if one.config["workload"] == "app")
    assert of_app.valid
    assert places(of_app)["Consumer"] <= {"infer1", "infer2"}
    trial = read_trial(folder)
    assert trial.valid
    assert list(trial.config["cluster"]["nodes"]) == ["head", "infer1", "infer2", "node1", "node2", "node3"]
    found = places(trial)
    assert found["VideoDecoder"] <= {"node1", "node2", "node3"}
    assert found["ModelInference"] == {"infer1", "infer2"}
    assert found["VideoProcessingService"] <= {"node1", "node2", "node3"}
    assert found["VideoProcessingAPI"] == {"head"}
