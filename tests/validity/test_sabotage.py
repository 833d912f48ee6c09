"""What is done to a real trial on purpose breaks a rule that names the cause.

The processes of the trial are changed from outside, by what lies in ``sabotage``. All loads share one
cluster, and those whose client alone is changed one deployment.
"""

import copy
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import records
from tests.support.runs import SCENE, SMALL
from vbench.clusters import local
from vbench.clusters.base import ClusterEndpoint, RunningCluster
from vbench.load.spec import PREPARED, LoadSpec, read_clip, write_spec
from vbench.record.files import read_load_report, read_requests, read_samples, read_spans
from vbench.record.measurements import Measurements
from vbench.validity.rules import judge

pytestmark = pytest.mark.slow

SABOTAGE = Path(__file__).with_name("sabotage")

CONFIG = records.config(
    *SCENE,
    *SMALL,
    "tracking=off",
    "load.requests=4",
    "load.warmup=4",
    "cluster.nodes.head.cpus=3",
    "cluster.deployments.decoder.replicas=2",
    "cluster.deployments.decoder.cpus=0.5",
    "cluster.deployments.inference.replicas=1",
    # A whole batch is in a call, so that its size shows.
    "model.batch_size=2",
)

LOOP = "the requests are those of one closed loop"
SPANS = "the spans are those of the requests"
ANSWERED = "this trial's deployment answered"
PORT = "only this trial's proxy took connections"
SETTINGS = "the service ran with the configured settings"
BATCHES = "batches were of the configured size"
SIZED = "the configured replicas ran"
IN_FLIGHT = "the configured number of requests was in flight"
TIMES = "client and service agree on the times"
SERVED = "the service had only the recorded requests"
FRAMES = "the number of frames fits the video's length"
FOUND = "the detector finds the scene's objects"
COMPUTED = "each request was computed again"
PLAIN = "the detector agrees with a plain implementation"
REPEATED = "detections change when objects move"
SHOWN = "frames show the scene as it was rendered"

UNWATCHED = "nothing else used the CPU"
"""The harness watches the machine, and is not there."""

LOAD_S = 280


@dataclass(kw_only=True)
class Lab:
    """A cluster on which loads run, and where their files are."""

    cluster: RunningCluster
    folder: Path
    prepared: Path
    chosen: Path
    done: dict[str, Path] = field(default_factory=dict)

    def load(self, sabotage: str, *clients: str) -> Path:
        """Run the load on a deployment that the sabotage changes; its folder, with one per load."""
        folder = self.folder / (sabotage or "clients")
        folder.mkdir()
        shutil.copyfile(self.prepared, folder / PREPARED)
        return self._drive(folder, sabotage, *clients)

    def _drive(self, folder: Path, sabotage: str, *clients: str) -> Path:
        """In a folder that a reference pass has prepared."""
        cluster = self.cluster
        endpoint = ClusterEndpoint(
            address=cluster.address, temp_dir=cluster.temp_dir, nodes=list(cluster.nodes), links=[]
        )
        job = write_spec(LoadSpec(config=CONFIG, folder=folder, endpoint=endpoint))
        self.chosen.write_text(sabotage)
        try:
            run([str(SABOTAGE / "run_load.py"), str(job), *clients], cluster.load_env, enter=cluster.enter)
        finally:
            self.chosen.write_text("")
        return folder

    def load_and_reference(self, sabotage: str) -> Path:
        """As ``load``, with a reference pass that the sabotage changes too."""
        folder = self.folder / sabotage
        folder.mkdir()
        config = copy.deepcopy(CONFIG)
        config.outputs = str(folder / "outputs")  # a cache of its own
        job = write_spec(LoadSpec(config=config, folder=folder, endpoint=None))
        self.chosen.write_text(sabotage)
        try:
            run(["-m", "vbench.load", "prepare", str(job)], dict(os.environ))
        finally:
            self.chosen.write_text("")
        return self._drive(folder, sabotage)


def run(arguments: list[str], env: Mapping[str, str], enter: tuple[str, ...] = ()) -> None:
    """Run Python, where ``enter`` leads to."""
    done = subprocess.run(
        [*enter, sys.executable, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=LOAD_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    chosen = folder / "chosen"
    chosen.write_text("")
    before = dict(os.environ)
    # Ray's sockets need a short path.
    temp = Path(os.path.realpath(f"/tmp/vs{os.getpid()}-{time.monotonic_ns() % 10**9}"))
    temp.mkdir()
    path = os.pathsep.join(filter(None, [str(SABOTAGE), before.get("PYTHONPATH", "")]))
    os.environ.update(PYTHONPATH=path, VBENCH_SABOTAGE=str(chosen), TMPDIR=str(temp))
    try:
        config = CONFIG
        config.outputs = str(folder / "outputs")
        job = write_spec(LoadSpec(config=config, folder=folder, endpoint=None))
        run(["-m", "vbench.load", "prepare", str(job)], dict(os.environ))
        with local.start(config, folder / "ray.log", lambda *_, **__: None) as cluster:
            yield Lab(cluster=cluster, folder=folder, prepared=folder / PREPARED, chosen=chosen)
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(temp, ignore_errors=True)


def broken(folder: Path) -> dict[str, str]:
    """Rule that does not hold -> what was found."""
    rules = judge(
        CONFIG,
        read_load_report(folder),
        Measurements(requests=read_requests(folder), nodes=read_samples(folder), spans=read_spans(folder)),
        read_clip(folder),
    )
    return {rule.name: rule.observed for rule in rules if not rule.passed and rule.name != UNWATCHED}


CLIENTS = {
    "one_in_flight": {IN_FLIGHT},
    "retried": {SERVED},
    "failure_replaced": {SERVED},
    "fastest_half_kept": {LOOP},
    "earlier_request_counted": {LOOP},
    "timers_started_late": {LOOP, TIMES},
    "due_times_reset": {LOOP},
    "spans_invented": {SPANS},
    "flooded": {SERVED},
}


@pytest.fixture(scope="module")
def clients(lab: Lab) -> Path:
    # The last, since its server goes on listening.
    return lab.load("", *CLIENTS, "foreign_service")


def test_a_load_that_nobody_touches_breaks_no_rule(clients: Path) -> None:
    assert broken(clients / "as_it_is") == {}


@pytest.mark.parametrize("sabotage", CLIENTS)
def test_a_client_that_cheats_breaks_the_rule_that_names_it(clients: Path, sabotage: str) -> None:
    assert CLIENTS[sabotage] <= broken(clients / sabotage).keys()


def test_requests_that_no_replica_works_on_are_counted_by_api_and_proxy(clients: Path) -> None:
    found = broken(clients / "flooded")
    assert found.keys() == {SERVED}
    assert "more requests than are recorded (and 1 more)" in found[SERVED]


def test_a_graph_that_is_deployed_otherwise_is_told_setting_by_setting(lab: Lab) -> None:
    """And answers that are given again, on the same deployment."""
    found = broken(lab.load("deployed_otherwise+responses_memoised") / "as_it_is")
    for text in (
        "mode=combined",
        "handoff=relay",
        "prune=False",
        "batch_size=1",
        "VideoDecoder had resources=CPU=0.5 instead of the configured CPU=0.5 decode_only=0.0001",
        "VideoProcessingService had at_once=1 instead of the configured 16",
        "VideoProcessingAPI had at_once=1 instead of the configured 16",
    ):
        assert text in found[SETTINGS]
    assert "VideoDecoder had 1 replicas instead of the configured 2" in found[SIZED]
    assert {TIMES, SERVED, SPANS} <= found.keys()


@pytest.mark.long
def test_work_that_is_looked_up_breaks_the_rule_by_stage(lab: Lab) -> None:
    found = broken(lab.load("work_memoised") / "as_it_is")
    assert "decode took" in found[COMPUTED]
    assert "infer took" in found[COMPUTED]


def test_work_that_is_looked_up_and_waited_for_breaks_the_rule_by_its_cpu_time(lab: Lab) -> None:
    found = broken(lab.load("slow_memory") / "as_it_is")
    assert "no FFmpeg ran for call" in found[COMPUTED]
    assert "a forward pass for request" in found[COMPUTED]
    assert "took" not in found[COMPUTED].partition("a forward pass")[0]


@pytest.mark.long
def test_replicas_that_work_otherwise_than_configured_are_told_by_what_they_did(lab: Lab) -> None:
    found = broken(lab.load("ran_otherwise") / "as_it_is")
    for text in (
        "ModelInference had threads=2 instead of the configured 1",
        "VideoDecoder had threads=1, 2 instead of the configured 1",
        "VideoProcessingService had at_once=4 instead of the configured 16",
    ):
        assert text in found[SETTINGS]
    assert "forward passes (of 1, 1" in found[BATCHES]


def test_a_second_server_on_the_port_breaks_the_rule(clients: Path) -> None:
    folder = clients / "foreign_service"
    found = broken(folder)
    assert "also listened on the port" in found[PORT]
    # The kernel deals connections out: whether any of the few came to it is a matter of chance.
    strangers = [
        one
        for one in read_requests(folder)
        if any(each.deployment_id == "of another trial" for each in one.replicas)
    ]
    assert (ANSWERED in found) == bool(strangers)


@pytest.mark.parametrize(
    ("sabotages", "rules"),
    [
        ("half_the_frames+nothing_detected", {FRAMES, FOUND, PLAIN}),
        pytest.param("boxes_halved", {FOUND, PLAIN}, marks=pytest.mark.long),
        pytest.param("small_pictures", {FOUND, PLAIN}, marks=pytest.mark.long),
        pytest.param("frames_left_out", {BATCHES, FOUND, PLAIN, REPEATED}, marks=pytest.mark.long),
        pytest.param("half_resolution_detected", {PLAIN}, marks=pytest.mark.long),
        pytest.param(
            "half_resolution_decoded+grey_levels_detected", {FOUND, SHOWN, PLAIN}, marks=pytest.mark.long
        ),
    ],
)
def test_what_service_and_reference_do_wrong_alike_breaks_a_rule(
    lab: Lab, sabotages: str, rules: set[str]
) -> None:
    found = broken(lab.load_and_reference(sabotages) / "as_it_is")
    assert found.keys() == rules
