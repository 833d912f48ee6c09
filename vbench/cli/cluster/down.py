"""``vbench cluster down``: stops an emulated cluster that runs by itself."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

from vbench.cli.cluster.command import parser_of
from vbench.clusters.emulated import state
from vbench.errors import InputError, TrialError
from vbench.linux import procfs

ENDING_S = 60.0
POLL_S = 0.05


def main(arguments: Sequence[str]) -> int:
    """Stop the cluster and wait until nothing is left of it; the exit status."""
    parser = parser_of("down", "Stop a cluster. Returns when none of its processes and files is left.")
    parser.add_argument("--all", action="store_true", help="stop every cluster of yours")
    options = parser.parse_args(arguments)
    if options.all and options.name is not None:
        raise InputError(f"--all and --name {options.name} contradict each other: leave one out")
    names = state.names() if options.all else [_name(options.name)]
    for name in names:
        _stop(name)
        print(f"cluster '{name}' is down")
    return 0


def _name(given: str | None) -> str:
    name = given if given is not None else state.DEFAULT
    if not state.is_held(name):
        state.running(name)  # says that there is none
    return name


def _stop(name: str) -> None:
    """End the keeper, which ends the rest; TrialError if something is left after ``ENDING_S``."""
    deadline = time.monotonic() + ENDING_S
    keeper: int | None = None
    while state.is_held(name) or (keeper is not None and _is_there(keeper)):
        cluster = state.find(name)
        if cluster is not None and keeper is None:
            keeper = cluster.keeper
            with suppress(ProcessLookupError):  # it was killed, and its guard ends the rest
                os.kill(keeper, signal.SIGTERM)
        if time.monotonic() > deadline:
            raise TrialError(
                f"the cluster '{name}' has not ended within {ENDING_S:g} s: see vbench cluster status"
            )
        time.sleep(POLL_S)


def _is_there(pid: int) -> bool:
    line = procfs.stat(pid)
    return line is not None and not line.has_ended
