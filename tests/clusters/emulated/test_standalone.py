"""An emulated cluster as a tool by itself: any Ray program runs on it, and nothing is left of it."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.clusters.emulated.test_interrupts import reaping
from tests.support.emulated import SCALE, Machine, of
from tests.support.runs import Wait, Workplace
from tests.support.waiting import until
from vbench.linux import procfs

pytestmark = pytest.mark.slow

TWO_HOSTS = (f"cluster.scale={SCALE}", "cluster.start_timeout_s=180", *of("head", "gpu"))

PROGRAM = """
import ray
ray.init(log_to_driver=False)
where = ray.remote(num_cpus=1)(ray.util.get_node_ip_address)
print(sorted(set(ray.get([where.remote() for _ in range(3)]))), len(ray.nodes()))
"""


@pytest.fixture
def stopped_in_the_end(workplace: Workplace) -> Iterator[Workplace]:
    """A cluster goes on when a test fails."""
    yield workplace
    with reaping(set()):
        workplace.run("cluster", "down", "--all")


def test_any_ray_program_runs_on_it_until_it_is_down(stopped_in_the_end: Workplace) -> None:
    workplace = stopped_in_the_end
    machine = Machine.now()
    # As from a shell in which no environment is active: the cluster's programs come first all the same.
    without = os.pathsep.join(("/usr/sbin", "/usr/bin", "/sbin", "/bin"))
    status, output = workplace.run("cluster", "up", "runtime=anyscale", *TWO_HOSTS, PATH=without)
    assert status == 0, output
    assert "cluster 'default' is up after " in output
    with reaping(set()):
        status, shown = workplace.run("cluster", "status")
        assert status == 0, shown
        assert "runtime=anyscale (15 connections)" in shown
        assert shown.count("alive") == 2
        _streams_and_exit_status_are_passed_on(workplace)
        (workplace.folder / "program.py").write_text(PROGRAM)
        for host in ("head", "gpu"):
            status, output = executed(workplace, host, "python", "program.py")
            assert status == 0, output
            assert output.splitlines()[-1] == "['10.77.0.2'] 2"
        status, output = executed(workplace, "gpu", "ray", "status")
        assert status == 0, output
        assert "/4.0 CPU" in output
        status, output = executed(workplace, "head", "ray", "job", "submit", "--", "python", "program.py")
        assert status == 0, output
        assert "['10.77.0.2'] 2" in output
        _dashboard_asks_for_the_token(workplace, shown)
        status, output = workplace.run("cluster", "up", *TWO_HOSTS)
        assert status == 2
        assert "the cluster 'default' is already there" in output
        assert workplace.run("cluster", "down") == (0, "cluster 'default' is down\n")
        assert workplace.left() == []
    assert machine.left() == []


def executed(workplace: Workplace, host: str, *command: str) -> tuple[int, str]:
    return workplace.run("cluster", "exec", host, "--", *command)


def _streams_and_exit_status_are_passed_on(workplace: Workplace) -> None:
    command = [sys.executable, "-m", "vbench", "cluster", "exec", "gpu", "--", "sh", "-c"]
    done = subprocess.run(
        [*command, "cat; echo error >&2; ps -e | wc -l >&2; exit 7"],
        cwd=workplace.folder,
        env={**os.environ, "TMPDIR": str(workplace.temp)},
        input="given",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (7, "given")
    error, _ = done.stderr.splitlines()
    assert error == "error"
    assert executed(workplace, "gpu", "sh", "-c", "kill -9 $$")[0] == 128 + signal.SIGKILL
    assert executed(workplace, "gpu", "nosuch") == (
        127,
        "vbench: nosuch cannot be run: No such file or directory\n",
    )
    status, output = executed(workplace, "gqu", "true")
    assert status == 2
    assert output == "vbench: cluster 'default' has no host gqu: did you mean 'gpu'? (there are: gpu, head)\n"


def _dashboard_asks_for_the_token(workplace: Workplace, shown: str) -> None:
    found = re.search(r"dashboard (http://127\.0\.0\.1:\d+)", shown)
    assert found is not None
    url = f"{found[1]}/api/version"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url, timeout=20)
    _, token = executed(workplace, "head", "printenv", "RAY_AUTH_TOKEN")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token.strip()}"})
    with urllib.request.urlopen(request, timeout=20) as response:
        assert response.status == 200


def running(module: str) -> Callable[[], int | None]:
    """Finds the last process of the tests with this module in its arguments."""

    def find() -> int | None:
        below = procfs.process_tree("of no guard", os.getpid())
        found = [pid for pid in below if procfs.command(pid)[1:3] == ["-m", module]]
        return max(found, default=None)

    return find


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("vbench", signal.SIGINT),
        ("vbench", signal.SIGKILL),
        ("vbench.clusters.emulated.keeper", signal.SIGKILL),
        ("vbench.linux.guard", signal.SIGKILL),
        ("vbench.clusters.emulated.init", signal.SIGKILL),
    ],
)
def test_whoever_is_killed_nothing_is_left(
    workplace: Workplace, wait_for: Wait, module: str, number: signal.Signals
) -> None:
    run = workplace.start("cluster", "up", *TWO_HOSTS)
    with reaping({run.pid}):
        output = wait_for(run, "checking the links")
        until(lambda: running(module)() is not None, f"{module} is there")
        pid = run.pid if module == "vbench" else running(module)()
        assert pid is not None
        os.kill(pid, number)
        output += run.communicate(timeout=60)[0]
        assert run.returncode == {signal.SIGINT: 130}.get(number, -number if pid == run.pid else 1), output
        assert "Traceback" not in output
        assert workplace.left() == []
