"""``python -m vbench.load prepare|drive JOB``: one step of a trial, in a process of its own."""

import sys
from pathlib import Path

from vbench.load.events import open_channel
from vbench.load.spec import read_job
from vbench.load.steps import run_step


def main(arguments: list[str]) -> int:
    """Run the step; its exit status."""
    open_channel()
    return run_step(arguments[0], read_job(Path(arguments[1])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
