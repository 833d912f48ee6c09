"""Whole trials of workload=app: the example with three deployments, and one that knows its own times."""

import json
import re
import shutil
import statistics
from collections import Counter
from pathlib import Path

import pytest

from tests.support.emulated import BOUNDS, ENDS, of
from tests.support.runs import Workplace
from vbench.record.files import read_calls, read_requests, read_trial

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

EXAMPLE = EXAMPLES / "array_graph"

SHORT = (
    "load.requests=8",
    "load.warmup=2",
    "load.concurrency=2",
    "load.sample_period_s=0.5",
    "cluster.nodes.head.object_store_mb=200",
    "app.args.array_mb=1",
    # What else runs on the machine that tests is not what they are about.
    "load.max_foreign_cpu_percent=100",
    "load.max_stall_ms=30000",
    "load.max_speed_change_percent=100",
    "load.max_late_ms=10000",
)


@pytest.mark.long
def test_the_example_is_measured_in_its_own_folder_and_its_responses_are_checked(
    workplace: Workplace,
) -> None:
    shutil.copytree(EXAMPLE, workplace.folder, dirs_exist_ok=True)
    status, output = workplace.run("workload=array_graph", *SHORT)
    assert status == 0, output
    assert "n = 8 requests, 2 at a time" in output
    assert "RESPONSES NOT CHECKED" not in output
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    assert trial.valid
    assert (trial.clip, trial.config["workload"]) == (None, "app")
    assert trial.load_report is not None
    assert trial.load_report.placement == {name: {"head": 1} for name in ("Consumer", "Front", "Producer")}
    assert trial.load_report.app is not None
    assert list(trial.load_report.app.response_digests) == ["line 1", "line 2", "line 3"]
    requests = read_requests(folder)
    assert Counter(one.video for one in requests) == {"line 1": 2, "line 2": 2, "line 3": 4}
    assert all(one.first_byte_s and one.sent_s < one.first_byte_s <= one.done_s for one in requests)
    assert trial.metrics["first_byte_mean_s"] <= trial.metrics["latency_mean_s"]
    assert "infer_compute_s" not in trial.metrics
    rules = {rule.name: rule.observed for rule in trial.rules}
    assert rules["responses are correct"] == "8 responses checked by app.check=json:sum, 0 wrong"
    assert rules["only this trial's proxy took connections"].startswith("only ")
    assert len(rules) >= 10

    status, output = workplace.run("workload=app", "app.import_path=grph:build", *SHORT)
    assert status == 2
    assert "app.import_path=grph:build: there is no module 'grph' in" in output


@pytest.mark.long
def test_connections_between_nodes_are_counted_on_an_emulated_cluster(workplace: Workplace) -> None:
    shutil.copytree(EXAMPLE, workplace.folder, dirs_exist_ok=True)
    placed = ("app.args.producer_resource=decode_only", "app.args.consumer_resource=infer_only")
    status, output = workplace.run(
        *("workload=array_graph", "cluster=emulated", "runtime.connections=3", *of(*ENDS), *BOUNDS),
        *(*placed, "app.args.array_mb=16", "load.requests=3", "load.warmup=2", "load.concurrency=1"),
    )
    assert status == 0, output
    trial = read_trial(workplace.trials()[0])
    rules = {rule.name: rule.observed for rule in trial.rules}
    assert rules["the runtime flags are in force"].endswith("3 connections from decode to gpu")
    on_links = re.fullmatch(
        r"([\d.]+) MB on the links, of which object managers sent ([\d.]+) MB",
        rules["all transfers went over the shaped links"],
    )
    assert on_links is not None
    total_mb, objects_mb = map(float, on_links.groups())
    assert 48 <= objects_mb < 50
    assert objects_mb <= total_mb < 1.1 * objects_mb + 5
    assert "no link carried more than its cap" in rules


@pytest.mark.long
def test_the_published_graph_runs_as_an_application_in_both_modes(workplace: Workplace) -> None:
    shutil.copytree(EXAMPLES / "published_graph", workplace.folder, dirs_exist_ok=True)
    args = [one for one in SHORT if not one.startswith(("app.", "load.requests", "cluster.nodes"))]
    status, output = workplace.run(
        *("--multirun", "workload=published_graph", "app.args.mode=chunked,combined", "load.requests=4"),
        *("cluster.nodes.head.object_store_mb=300", *args),
    )
    assert status == 0, output
    trials = [read_trial(folder) for folder in workplace.trials()]
    assert [trial.valid for trial in trials] == [True, True]
    digests = [
        trial.load_report.app.response_digests
        for trial in trials
        if trial.load_report and trial.load_report.app
    ]
    assert digests[0] == digests[1], "both modes find the same"
    assert trials[0].load_report is not None
    assert {"ModelInference1", "ModelInference2"} <= trials[0].load_report.placement.keys()


TIMED = """
import json, os, time

from ray import serve


@serve.deployment(max_ongoing_requests=1)
class Embedder:
    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, count):
        began_s = time.perf_counter()
        time.sleep(self.seconds)
        return {"Embedder": time.perf_counter() - began_s}


@serve.deployment
class Ranker:
    def __call__(self, times):
        began_s = time.perf_counter()
        until_s = began_s + 0.02
        while time.perf_counter() < until_s:
            pass
        return {**times, "Ranker": time.perf_counter() - began_s}


@serve.deployment
class Front:
    def __init__(self, embedder, ranker):
        self.embedder, self.ranker = embedder, ranker

    async def __call__(self, request):
        began_s = time.perf_counter()
        times = await self.ranker.remote(self.embedder.remote(1))
        return {**times, "Front": time.perf_counter() - began_s, "shop": os.environ["SHOP"]}


def build(args):
    return Front.bind(Embedder.bind(args["seconds"]), Ranker.bind())


ranker = Ranker.bind()


def noted(request, response):
    with open(os.path.join(os.path.dirname(__file__), "times.jsonl"), "a") as file:
        print(response["body"].decode(), file=file)
    return True
"""

SERVE_FILE = """
proxy_location: EveryNode
http_options: {host: 0.0.0.0, port: 8000}
applications:
- name: shop
  route_prefix: /shop
  import_path: timed:build
  args: {seconds: 0.2}
  runtime_env: {env_vars: {SHOP: "open"}}
  deployments:
  - {name: Front, ray_actor_options: {num_cpus: 0}}
  - {name: Embedder, num_replicas: 2, ray_actor_options: {num_cpus: 0}}
  - {name: Ranker, ray_actor_options: {num_cpus: 0}}
- name: idle
  route_prefix: /idle
  import_path: timed.ranker
  deployments:
  - {name: Ranker, ray_actor_options: {num_cpus: 0}}
"""


def test_the_applications_of_a_config_file_are_deployed_and_their_times_are_true(
    workplace: Workplace,
) -> None:
    """What the deployments measure of themselves is what the record says of them."""
    (workplace.folder / "timed.py").write_text(TIMED)
    (workplace.folder / "serve.yaml").write_text(SERVE_FILE)
    keys = ("app.config=serve.yaml", "app.path=/shop", "app.check=timed:noted", *SHORT)
    status, output = workplace.run("workload=app", *(key for key in keys if "app.args" not in key))
    assert status == 0, output
    assert "http_options.host, http_options.port, proxy_location are not used" in output
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    assert trial.arm.startswith("runtime=oss workload=app")
    assert trial.load_report is not None
    assert trial.load_report.app is not None
    assert trial.load_report.app.config == SERVE_FILE
    placed = {name: dict(nodes)["head"] for name, nodes in trial.load_report.placement.items()}
    assert placed == {"idle/Ranker": 1, "shop/Embedder": 2, "shop/Front": 1, "shop/Ranker": 1}

    lines = (workplace.folder / "times.jsonl").read_text().splitlines()
    measured = [json.loads(line) for line in lines][2:]  # the first two are the warm-up
    assert len(measured) == 8
    assert {one["shop"] for one in measured} == {"open"}
    for name in ("Front", "Embedder", "Ranker"):
        known_s = statistics.fmean(one[name] for one in measured)
        # Serve's own work around the user's code is in it.
        assert known_s <= trial.metrics[f"deployment_processing_mean_s.shop/{name}"] < known_s + 0.1
        assert trial.metrics[f"deployment_calls_per_request.shop/{name}"] == 1
    embedder_s = statistics.fmean(one["Embedder"] for one in measured)
    assert trial.metrics["deployment_own_mean_s.shop/Embedder"] == pytest.approx(embedder_s, abs=0.1)
    assert trial.metrics["deployment_own_mean_s.shop/Front"] < 0.1  # it waits for the others
    # Ranker's argument is what Embedder returns.
    assert trial.metrics["deployment_wait_mean_s.shop/Ranker"] > embedder_s
    calls = read_calls(folder)
    assert len(calls) == 3 * 8
    assert "deployment_busy_percent.idle/Ranker" not in trial.metrics
    assert trial.bottleneck is not None
    (busiest,) = [one for one in trial.bottleneck.resources if one.resource == "replicas"]
    assert busiest.where == "shop/Embedder's 2 replicas"
    assert 8 * 0.2 / 2 <= busiest.busy_s <= trial.bottleneck.measured_s
    assert "shop/Embedder" in output
