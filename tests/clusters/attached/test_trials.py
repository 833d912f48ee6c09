"""Trials on a cluster that someone else started: real Ray on three hosts, reached by its dashboard alone."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attached import NODES, PLACED, Stranger, records, stranger
from tests.support.emulated import CONNECTIONS, WHOLE
from tests.support.runs import Wait, Workplace, below
from tests.support.waiting import until
from vbench.linux import procfs
from vbench.record.files import read_machines, read_requests, read_samples, read_spans, read_trial
from vbench.record.transfers import bytes_by_route, inter_node_transfers
from vbench.record.trial import Trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LONG = (*WHOLE, "load.requests=500")
"""As good as for ever."""

OLDEST_S = 4
OUT_S = 5


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    log = tmp_path_factory.mktemp("stranger") / "ray.log"
    with (
        pytest.MonkeyPatch.context() as patch,
        stranger(log, patch, f"runtime.connections={CONNECTIONS}") as running,
    ):
        yield running


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip and its reference, which are the same for all."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def workplace(workplace: Workplace, cache: Path) -> Workplace:
    (workplace.folder / "outputs").mkdir()
    (workplace.folder / "outputs" / "cache").symlink_to(cache)
    return workplace


def test_a_trial_is_whole_over_connections_that_are_cut(cluster: Stranger, workplace: Workplace) -> None:
    """Every connection is cut when it is some seconds old, and after the first the cluster is out of reach
    for some: the log is read anew, nothing is said twice. The cluster has a token of its own."""
    host, port = cluster.address.removeprefix("http://").split(":")
    cuts = (host, port, str(OLDEST_S), str(OUT_S))
    proxy = cluster.start(workplace, *cuts, module="tests.support.cutting_proxy")
    assert proxy.stdout is not None
    through = f"cluster.address=http://127.0.0.1:{proxy.stdout.readline().strip()}"

    tokens = {"RAY_AUTH_TOKEN": "f" * 64, "RAY_AUTH_TOKEN_OSS": cluster.env["RAY_AUTH_TOKEN"]}
    status, output = cluster.run(workplace, *PLACED, *WHOLE, through, **tokens)

    _end(proxy)
    assert status == 0, output
    assert output.count("warm-up  0/2") == 1, "the log is read again, and nothing is said twice"
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    assert trial.valid
    assert trial.load_report is not None
    log = (folder / "load.log").read_text()
    assert "the connection was lost" in log
    assert "Connection refused" in log or "Cannot connect" in log
    assert [request.frames_got for request in read_requests(folder)] == [80, 80, 80]
    assert {span.node for span in read_spans(folder)} <= set(NODES)
    flags = [dict(node.flags or {}) for node in trial.load_report.flags_found]
    assert flags == [
        {
            "RAY_experimental_object_manager_enable_multiple_connections": "1",
            "RAY_object_manager_client_connection_num": str(CONNECTIONS),
        }
    ] * len(NODES)
    (pair,) = trial.load_report.connections
    assert (pair.sender, pair.receiver, pair.established) == ("decode", "gpu", CONNECTIONS)
    assert set(trial.load_report.hardware) == set(trial.load_report.clocks_off_s) == set(NODES)
    _samples_agree_with_what_had_to_move(trial, folder)
    (speeds,) = trial.load_report.speeds.items()
    assert speeds[0] == "+".join(NODES), "all are on one machine, which one of them measures"
    assert speeds[1].before.all_per_s > 0 < speeds[1].after.all_per_s
    assert "the machine kept its speed" in {rule.name for rule in trial.rules}
    assert cluster.there(workplace) == {"jobs": ["SUCCEEDED"], "actors": []}
    assert records() == []
    assert workplace.left() == []


def _samples_agree_with_what_had_to_move(trial: Trial, folder: Path) -> None:
    """All nodes, watched on one machine by one of them, in the time of the load process."""
    samples = read_samples(folder)
    requests = read_requests(folder)
    for node in NODES:
        own = [sample for sample in samples if sample.node == node]
        # The samples span the measured time, to what a call to an agent takes.
        assert own[0].at_s == pytest.approx(min(one.scheduled_s for one in requests), abs=2)
        assert own[-1].at_s == pytest.approx(max(one.done_s for one in requests), abs=2)
        assert own[-1].cpu_s > 0
    moved = bytes_by_route(inter_node_transfers(read_spans(folder)))["decode", "gpu"]
    decode = [sample for sample in samples if sample.node == "decode"]
    sent = decode[-1].nic_sent_bytes - decode[0].nic_sent_bytes
    assert sent >= moved
    machines = read_machines(folder)
    assert len(machines) >= 2
    assert {sample.machine for sample in machines} == {"+".join(NODES)}
    # What the machine's watcher takes for the trial's is what the nodes' own agents saw, each on its node.
    spent_s = 0.0
    for node in NODES:
        own = [sample.cpu_s for sample in samples if sample.node == node]
        spent_s += own[-1] - own[0]
    assert machines[-1].cpu_trial_s - machines[0].cpu_trial_s == pytest.approx(spent_s, rel=0.3)


@pytest.mark.long
def test_another_runtime_is_refused_before_the_load(cluster: Stranger, workplace: Workplace) -> None:
    status, output = cluster.trial(workplace, *WHOLE, "runtime.connections=1")
    assert status == 2, output
    assert "runtime=oss does not match this cluster: the raylet on head has" in output
    assert "RAY_object_manager_client_connection_num=4" in output
    assert "warm-up" not in output
    assert cluster.there(workplace)["actors"] == []


@pytest.mark.parametrize(
    ("overrides", "env", "said"),
    [
        ((), {"RAY_AUTH_TOKEN": "f" * 64}, "rejected the credentials"),
        ((), {"RAY_AUTH_TOKEN_OSS": "f" * 64}, "rejected the credentials"),
        (("cluster.nodes.gpu.gpus=2",), {}, "has no node for cluster.nodes.gpu: the closest is"),
        (("cluster.address=http://127.0.0.1:9",), {}, "cluster.address=http://127.0.0.1:9 cannot be reached"),
        (("cluster.address=null",), {}, "cluster=attached has no address for runtime=oss: set"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused_at_once(
    overrides: tuple[str, ...], env: dict[str, str], said: str, cluster: Stranger, workplace: Workplace
) -> None:
    status, output = cluster.trial(workplace, *WHOLE, *overrides, **env)
    assert status == 2, output
    assert said in output
    assert "Traceback" not in output
    assert workplace.trials() == []
    assert workplace.left() == []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ctrl-C, and with ``--every-phase`` also what no process can catch."""
    if "number" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-phase")
        metafunc.parametrize("number", [signal.SIGINT, signal.SIGKILL] if every else [signal.SIGINT])


@pytest.mark.long
def test_a_trial_that_is_ended_takes_down_what_it_served(
    number: signal.Signals, cluster: Stranger, workplace: Workplace, wait_for: Wait
) -> None:
    before = cluster.there(workplace)["jobs"].count("STOPPED")
    run = cluster.start(workplace, *PLACED, *LONG, f"cluster.address={cluster.address}")
    wait_for(run, "requests  0/500")
    (main,) = [pid for pid in below(run.pid) if procfs.command(pid)[1:3] == ["-m", "vbench"]]
    assert len(records()) == 1

    os.kill(main, number)

    run.communicate(timeout=90)

    def is_stopped() -> bool:
        there = cluster.there(workplace)
        return there["actors"] == [] and there["jobs"].count("STOPPED") == before + 1

    until(is_stopped, "the job is stopped, and its actors are gone")
    assert records() == [], "the job was killed before it could leave"
    assert workplace.left() == []


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=10)
