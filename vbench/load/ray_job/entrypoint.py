"""The load process as a job on the head of a cluster that runs already.

``python -m vbench.load.ray_job.entrypoint``

Its specification is in its environment, its input files in its working directory. It writes its events, and
at the end the record's files, to its log. Whatever ends it, except SIGKILL, shuts down what it has served.
"""

import json
import os
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from vbench.config.workload import APP, workload_of
from vbench.load.events import redirect_stdout, send_file
from vbench.load.spec import JOB, PREPARED, read_clip, spec_from_plain
from vbench.load.steps import run_step
from vbench.record.clip import Clip
from vbench.record.files import write_json

JOB_VARIABLE = "VBENCH_JOB"

INPUTS = "inputs"
"""Folder of the package with the job's input files."""

STOP = signal.SIGINT
"""The signal that asks it to end. SIGTERM, Ray's default, would leave it 3 s: Ray's library treats it as a
failure and aborts a process that still runs then."""


def main() -> int:
    """Run the load, send the record's files, and leave nothing behind."""
    signal.signal(STOP, lambda number, _: sys.exit(128 + number))
    redirect_stdout(in_log=True)
    job = spec_from_plain(json.loads(os.environ.pop(JOB_VARIABLE)))
    # In the package's own folder: if this process is killed, it is removed with the package.
    with tempfile.TemporaryDirectory(prefix="record-", dir=Path.cwd()) as name:
        folder = Path(name)
        # The folder of an application is the user's, whatever is in it.
        clip = None if workload_of(job.config) == APP else read_clip(Path(INPUTS))
        if clip is not None:
            write_json(folder / PREPARED, _from_here(clip))

        def hand_back() -> None:
            for path in sorted(folder.iterdir()):
                if path.name not in (JOB, PREPARED):
                    send_file(path)

        return run_step("drive", replace(job, folder=folder), finish=hand_back)


def _from_here(clip: Clip) -> Clip:
    """With absolute paths, which are the same on every node, because Ray unpacks a package at the same
    path."""
    path = clip.path if clip.address else str(Path(clip.path).resolve())
    return replace(clip, path=path, reference=str(Path(clip.reference).resolve()))


if __name__ == "__main__":
    sys.exit(main())
