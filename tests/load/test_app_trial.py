"""A whole trial of workload=app: the example with three deployments, from its folder to the comparison."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.support.runs import Workplace
from vbench.record.files import read_requests, read_trial

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
    assert len(rules) >= 10

    status, output = workplace.run("workload=app", "app.import_path=grph:build", *SHORT)
    assert status == 2
    assert "app.import_path=grph:build: there is no module 'grph' in" in output


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
