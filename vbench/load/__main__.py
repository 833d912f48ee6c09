"""``python -m vbench.load prepare|drive JOB``: one step of a trial, in a process of its own."""

import sys
from pathlib import Path

from vbench.load.events import redirect_stdout
from vbench.load.spec import read_spec
from vbench.load.steps import run_step


def main(arguments: list[str]) -> int:
    """Run the step; its exit status."""
    redirect_stdout()
    return run_step(arguments[0], read_spec(Path(arguments[1])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
