"""The pipeline as anyone would start it: ``serve run vbench.pipeline:build mode=combined model=shapes``."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests

from tests.pipeline.serving import Service
from tests.support.waiting import until
from vbench.cli.manifests.command import main
from vbench.linux.ports import free_ports
from vbench.pipeline import front

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def temp_dir() -> Iterator[Path]:
    # Ray's sockets lie in its temp dir, and a socket's path has room for 107 bytes.
    path = Path(tempfile.mkdtemp(prefix="vr", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # A head that is told to end waits 30 s for its actors to leave, unless told not to.
    drain = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
    return own | drain | front.environment(2) | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}


@contextmanager
def running(*command: str, stop: signal.Signals, log: Path, folder: Path | None = None) -> Iterator[None]:
    """A process, for as long as the context lasts; then it and all that it started must be gone."""
    with log.open("wb") as output:
        process = psutil.Popen(
            [str(BIN / command[0]), *command[1:]],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield
    finally:
        family = [process, *process.children(recursive=True)]
        process.send_signal(stop)
        left = psutil.wait_procs(family, timeout=20)[1]
        for one in left:
            one.kill()
        assert not left, f"{command[0]} left {left} behind: {log.read_text()[-2000:]}"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def from_arguments(folder: Path, clip: Path, port: int) -> list[str]:
    """The graph's arguments on the command line, which is given in the clip's folder."""
    return ["vbench.pipeline:build", "mode=combined", "model=shapes", "fps=2"]


def from_manifest(folder: Path, clip: Path, port: int) -> list[str]:
    """A file that ``vbench manifests serve`` wrote; it names the clip."""
    path = folder / "serve.yaml"
    overrides = ["mode=combined", "pipeline.fps=2", f"cluster.http_port={port}", "cluster.nodes.head.cpus=2"]
    overrides += ["video=file", f"video.path={clip}"]
    assert main(["serve", *overrides, "--out", str(path)]) == 0
    return [str(path)]


@dataclass(frozen=True, kw_only=True)
class Head:
    """A Ray node, and the port that Serve is to have there."""

    address: str
    http_port: int


@pytest.fixture(scope="module")
def head(temp_dir: Path) -> Iterator[Head]:
    gcs, http, client, agent = free_ports("127.0.0.1", 4)
    command = [
        "ray",
        "start",
        "--head",
        "--block",
        "--include-dashboard=false",
        "--include-log-monitor=false",
    ]
    command += [f"--port={gcs}", f"--temp-dir={temp_dir}", "--num-cpus=2", "--object-store-memory=200000000"]
    command += [f"--ray-client-server-port={client}", f"--dashboard-agent-listen-port={agent}"]
    command += ['--resources={"chunk_only": 1, "decode_only": 1}']
    with running(*command, stop=signal.SIGTERM, log=temp_dir / "head.log"):
        until(lambda: listens(gcs), "Ray is up")
        yield Head(address=f"--address=127.0.0.1:{gcs}", http_port=http)


@pytest.mark.parametrize("given", [from_arguments, pytest.param(from_manifest, marks=pytest.mark.long)])
def test_serve_run_serves(
    given: Callable[[Path, Path, int], list[str]], head: Head, temp_dir: Path, tmp_path: Path, clip: Path
) -> None:
    http, log = head.http_port, tmp_path / "run.log"
    start = [str(BIN / "serve"), "start", head.address, "--http-host=127.0.0.1", f"--http-port={http}"]
    subprocess.run(start, env=environment(), check=True, capture_output=True, timeout=60)
    command = ["serve", "run", head.address, *given(tmp_path, clip, http)]
    with running(*command, stop=signal.SIGINT, log=log, folder=clip.parent):
        service = Service(url=f"http://127.0.0.1:{http}")
        until(lambda: is_up(service), "the graph is up", 150)

        answer = service.ask(clip)
        with ThreadPoolExecutor(12) as clients:
            responses = list(clients.map(lambda _: service.post({"video": str(clip)}), range(12)))
        (temp_dir / "secret.mp4").write_bytes(clip.read_bytes())
        elsewhere = [service.refusal(video=f"{temp_dir}/{name}.mp4") for name in ("secret", "none")]
        # Before it has said so, an interrupt can be lost within Ray, and it would run on.
        until(lambda: said_so(log), "serve run has said so")

    assert (answer.settings.mode, answer.settings.fps, answer.counts.frames) == ("combined", "2", 24)
    for status, sentence in elsewhere:
        assert (status, "not in a folder that this service reads" in sentence) == (422, True), sentence
    refused = [response for response in responses if response.status_code == 503]
    assert {response.status_code for response in responses} == {200, 503}
    for response in refused:
        assert response.json()["detail"].startswith("The service is overloaded: 2 requests are in progress")
        assert int(response.headers["Retry-After"]) >= 1


def said_so(log: Path) -> bool:
    """Whether ``serve run`` has said that it is done with starting: of an application, or of a file."""
    return any(text in log.read_text() for text in ("is ready at", "Submitted deploy config successfully"))


def is_up(service: Service) -> bool:
    try:
        return requests.get(f"{service.url}/healthz", timeout=5).status_code == 200
    except requests.RequestException:
        return False
