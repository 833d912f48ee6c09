"""The door: compose, validate, then run one trial or each trial of a sweep."""

import contextlib
import os
import signal
import sys
from typing import Any

INTERRUPTED = 130
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"--help", "-h"} & set(arguments):
        from vbench import help as page

        with contextlib.suppress(BrokenPipeError):
            print(page.text(), end="")
        return 0
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    from vbench.errors import VbenchError

    try:
        from vbench.session import run

        return run(arguments)
    except KeyboardInterrupt:
        print("interrupted: what was started has been ended, the records so far are kept", file=sys.stderr)
        return INTERRUPTED
    except VbenchError as error:
        print(f"vbench: {error}", file=sys.stderr)
        return error.exit_status


def _interrupt(*_: Any) -> None:
    """End so that every context manager on the way closes what it opened, and is not disturbed at that:
    it takes seconds, and has deadlines."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    sys.exit(main())
