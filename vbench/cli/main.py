"""The door: compose, validate, then run one trial or each trial of a sweep."""

import contextlib
import os
import signal
import sys
from typing import Any

from vbench.cli.entry import FULL, UNREAD, command, is_printed, tell

INTERRUPTED = 130
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"--help", "-h"} & set(arguments):
        from vbench.cli import help as page

        with contextlib.suppress(BrokenPipeError):
            print(page.text(), end="")
        return 0
    for number in INTERRUPTS:
        # nohup ignores SIGHUP so that a run survives its terminal: it stays ignored.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    from vbench.errors import VbenchError
    from vbench.load.disk_room import no_room
    from vbench.run.installation import check_installation, starts_a_cluster

    try:
        # Before the imports below, which take seconds.
        if starts_a_cluster(arguments):
            check_installation()
        from vbench.run.session import run

        return run(arguments)
    except KeyboardInterrupt:
        tell("interrupted: what was started has been ended, the records so far are kept")
        return INTERRUPTED
    except VbenchError as error:
        tell(f"vbench: {error}")
        return error.exit_status
    except OSError as error:
        if error.errno in UNREAD:
            return VbenchError.exit_status
        if error.errno not in FULL:
            raise
        if error.filename is None and not is_printed():
            raise
        tell(f"vbench: {no_room(error)}")
        return VbenchError.exit_status


def _interrupt(*_: Any) -> None:
    """End so that every context manager on the way closes what it opened, and is not disturbed at that:
    it takes seconds, and has deadlines."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    sys.exit(command(main))
