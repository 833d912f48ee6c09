"""Runs a step of the load process as a job on an attached cluster, and stands in for it before the harness.

``python -m vbench.load.ray_job.submit ADDRESS DEPENDENCIES COMMAND... JOB`` packs the code and what the job
reads, submits it, copies the events in its log to standard output, retrieves the record's files, and exits
like the job. Asked to end (SIGTERM), it stops the job first. If the connection is lost, it reconnects, reads
the log from its beginning, and skips the events that it has copied.
"""

import asyncio
import json
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from ray.exceptions import AuthenticationError

from vbench.clusters.attached.api import connect
from vbench.clusters.attached.cluster import STOP_WAIT_S
from vbench.clusters.attached.validate import PIP
from vbench.config.workload import APP, workload_of
from vbench.errors import InputError, VbenchError, last_reason
from vbench.load.events import SEPARATOR, DamagedFileError, Event, FileAssembler
from vbench.load.ray_job.entrypoint import JOB_VARIABLE, STOP
from vbench.load.ray_job.package import JobPackage, packaged
from vbench.load.spec import read_spec, to_plain
from vbench.ray_internals import serve_calls
from vbench.ray_internals.api_server import JobsClient
from vbench.ray_internals.jobs import STOP_SIGNAL_VARIABLE, STOP_WAIT_VARIABLE
from vbench.telemetry.node_agents import INSTALL_S

LOST_S = 120.0
"""A cluster that cannot be reached for this long is given up."""

RETRY_S = 2.0
"""Between two attempts to reach it."""

STOP_MARGIN_S = 20.0
"""In addition to the job's own time to end, for a cluster that cannot be reached at once."""

LOG_IDLE_S = 60.0
"""A log without news for this long is requested again: a connection that died silently has no news either."""

CONNECTION_ERRORS = (OSError, RuntimeError, aiohttp.ClientError, AuthenticationError)
"""What Ray's client raises if the connection fails, or a proxy responds instead of the server."""


def main(arguments: list[str]) -> int:
    """Run the job to its end; 0 if it has reported that it is done."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    address, dependencies, path = arguments[0], arguments[1], Path(arguments[-1])
    job = read_spec(path)
    try:
        _emit({"event": "progress", "phase": "submitting the job", "done": 0, "total": 0, "note": ""})
        server = connect(address)
        with packaged(job) as package, _submitted(server, dependencies, package) as name:
            last = _LogFollower(server, name, job.folder).follow()
    except VbenchError as error:
        last = {"event": "failed", "message": str(error), "bad_input": isinstance(error, InputError)}
    # Only now: the harness ends this process on this event, and nothing must be left by then.
    _emit(last)
    return 0 if last["event"] == "done" else 1


@contextmanager
def _submitted(server: JobsClient, dependencies: str, package: JobPackage) -> Iterator[str]:
    """The job's name while it runs; stopped, and waited for, on leaving before its end."""
    name = f"vbench-{secrets.token_hex(6)}"
    runtime_env: dict[str, Any] = {
        "working_dir": str(package.working_dir),
        "env_vars": {
            JOB_VARIABLE: json.dumps(to_plain(package.job)),
            STOP_SIGNAL_VARIABLE: STOP.name,
            STOP_WAIT_VARIABLE: f"{STOP_WAIT_S:g}",
        },
    }
    if workload_of(package.job.config) == APP:
        runtime_env["env_vars"] |= serve_calls.environment()
    if package.modules:
        runtime_env["py_modules"] = [str(folder) for folder in package.modules]
    if dependencies == PIP:
        runtime_env["pip"] = {"packages": package.requirements, "pip_check": False}
        runtime_env["config"] = {"setup_timeout_seconds": int(INSTALL_S)}
    try:
        try:
            server.submit_job(
                entrypoint="exec python -m vbench.load.ray_job.entrypoint",
                submission_id=name,
                runtime_env=runtime_env,
            )
        except (*CONNECTION_ERRORS, ValueError) as error:
            raise InputError(
                f"the cluster did not accept the job: {' '.join(str(error).split())[:500]}; see the page Jobs"
                " of its dashboard"
            ) from error
        yield name
    finally:
        _stop(server, name)


def _stop(server: JobsClient, name: str) -> None:
    """Ask the job to end, if it has not, and wait until it has shut down what it served.

    Retried until a deadline if the cluster cannot be reached, or does not know the job yet.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second request must not interrupt it
    deadline = time.monotonic() + STOP_WAIT_S + STOP_MARGIN_S
    asked = False
    while time.monotonic() < deadline:
        try:
            if server.get_job_status(name).is_terminal():
                return
            asked = asked or server.stop_job(name)
        except CONNECTION_ERRORS as error:
            print(f"the job cannot be stopped yet: {error}", file=sys.stderr)
        time.sleep(0.2)
    print(f"the job {name} may still be running; stop it with 'ray job stop {name}'", file=sys.stderr)


class _LogFollower:
    """Copies each event of a job's log once, until the job has ended."""

    def __init__(self, server: JobsClient, name: str, folder: Path) -> None:
        """``folder``: the record's, where the files go."""
        self._server = server
        self._name = name
        self._files = FileAssembler(folder)
        self._lines = 0
        """Lines of the log that were handled."""
        self._seen = -1
        """Number of the last event."""
        self._lost_since_s: float | None = None
        """When the cluster first could not be reached, and not since."""
        self._last: Event | None = None
        """``done`` or ``failed``."""

    def follow(self) -> Event:
        """Until the job has ended, or is given up; its last event."""
        try:
            while not self._ended():
                time.sleep(RETRY_S)
            last = self._last
            if last is None:
                details = self._server.get_job_info(self._name)
                reason = last_reason(str(details.message), "no reason given")
                return _failed(f"the job {self._name} ended as {details.status.value}: {reason}")
        except (DamagedFileError, _ClusterLostError, *CONNECTION_ERRORS) as error:
            return _failed(str(error))
        return last

    def _ended(self) -> bool:
        """Follow the log while the connection lasts; whether the job has ended, and its log was handled.

        _ClusterLostError if the cluster has not been reached for too long.
        """
        try:
            asyncio.run(self._read())
        except TimeoutError:
            pass  # no news from the job, or a dead connection: the next request shows which
        except CONNECTION_ERRORS as error:
            print(f"the connection was lost: {error}", file=sys.stderr)
        try:
            ended: bool = self._server.get_job_status(self._name).is_terminal()
            if ended:
                self._handle_lines(self._server.get_job_logs(self._name).split("\n")[:-1])
        except CONNECTION_ERRORS as error:
            self._lost_since_s = self._lost_since_s or time.monotonic()
            lost_s = time.monotonic() - self._lost_since_s
            if lost_s > LOST_S:
                raise _ClusterLostError(
                    f"the cluster could not be reached for {lost_s:.0f} s ({error}): check that it is still"
                    " there and that its port is still forwarded, and run the trial again"
                ) from error
            return False
        self._lost_since_s = None
        return ended

    async def _read(self) -> None:
        """The log from its beginning to its end, or the connection's; TimeoutError if it is silent."""
        whole: list[str] = []
        begun = ""
        log = self._server.tail_job_logs(self._name)
        try:
            while True:
                try:
                    text = await asyncio.wait_for(anext(log), LOG_IDLE_S)
                except StopAsyncIteration:
                    return
                *lines, begun = (begun + text).split("\n")
                whole += lines
                self._handle_lines(whole)
        finally:
            await log.aclose()

    def _handle_lines(self, log: Sequence[str]) -> None:
        """Handle the new lines of a log that is given from its beginning."""
        for line in log[self._lines :]:
            self._handle_line(line)
        self._lines = max(self._lines, len(log))

    def _handle_line(self, line: str) -> None:
        if not line.startswith(SEPARATOR):
            if line.strip():
                print(line, file=sys.stderr)
            return
        try:
            event: Event = json.loads(line.removeprefix(SEPARATOR))
        except ValueError as error:
            raise DamagedFileError(f"the job's log has a damaged line ({error})") from error
        if event["number"] != self._seen + 1:
            raise DamagedFileError(
                f"the job's log is missing its events from {self._seen + 1} to {event['number']}"
            )
        self._seen = event["number"]
        if event["event"] == "file":
            self._files.add(event)
        elif event["event"] in ("done", "failed"):
            self._last = event
        else:
            _emit(event)


class _ClusterLostError(Exception):
    """The cluster could not be reached for too long."""


def _failed(message: str) -> Event:
    return {"event": "failed", "message": message, "bad_input": False}


def _emit(event: Event) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
