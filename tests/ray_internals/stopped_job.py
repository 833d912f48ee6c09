"""A job that writes one long line, is stopped, and says so; its log is followed as it is written."""

import asyncio
import sys

from tests.ray_internals.cluster import DEADLINE_S
from vbench.ray_internals import api_server, jobs

JOB = """
import signal, sys, time

def stop(number, _):
    time.sleep(4)  # longer than Ray gives a job by default
    print("stopped by", signal.Signals(number).name, flush=True)
    sys.exit(0)

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
print("x" * int(sys.argv[1]), flush=True)
signal.pause()
"""


def log_of_a_stopped_job(client: api_server.JobsClient) -> list[str]:
    """What a job says that writes one long line and is then stopped; as its log is followed."""
    variables = {jobs.STOP_SIGNAL_VARIABLE: "SIGINT", jobs.STOP_WAIT_VARIABLE: "30"}
    name = client.submit_job(
        entrypoint=f"exec {sys.executable} -c '{JOB}' {jobs.LOG_LINE_LIMIT}",
        runtime_env={"env_vars": variables},
    )

    async def follow() -> str:
        log, stopped = "", False
        async for text in client.tail_job_logs(name):
            log += text
            if "xxx" in log and not stopped:
                stopped = client.stop_job(name)
        return log

    return asyncio.run(asyncio.wait_for(follow(), DEADLINE_S)).splitlines()
