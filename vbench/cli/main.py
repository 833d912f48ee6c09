"""The command ``vbench``: runs trials, or one of the other commands if its name comes first."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from vbench import __version__
from vbench.cli.entry import command
from vbench.cli.start import REFUSED
from vbench.errors import nearest
from vbench.linux.standard_streams import FULL, UNREAD, is_printed, tell

INTERRUPTED = 130
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

HELP = {"--help", "-h"}
COMPLETION = {"--shell-completion", "-sc"}

RUN = "run"
COMMANDS = {
    "baseline": "vbench.cli.baseline",
    "cluster": "vbench.cli.cluster.command",
    "compare": "vbench.cli.compare",
    "doctor": "vbench.cli.doctor",
    "efficiency": "vbench.cli.efficiency",
    "log": "vbench.cli.log",
    "manifests": "vbench.cli.manifests.command",
    "plan": "vbench.cli.plan",
    "request": "vbench.cli.request",
    "revalidate": "vbench.cli.revalidate",
}
"""Name of a command -> the module with its ``main``, imported only for that command."""


def entry_point() -> int:
    """The exit status of the command line of this process."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return command(main)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        return _other(COMMANDS[name], arguments[1:])
    if name == "--version":
        print(f"vbench {__version__}")
        return 0
    if name.isidentifier() and name != RUN:  # KEY=VALUE and options are none
        tell(f"vbench: there is no command {name}: {nearest(name, [*COMMANDS, RUN])}")
        return REFUSED
    return _run(arguments[1:] if name == RUN else arguments)


def _other(module: str, arguments: list[str]) -> int:
    """The exit status of a command other than ``run``. Such a command starts nothing that must be stopped."""
    chosen: Callable[[list[str]], int | None] = import_module(module).main
    try:
        return chosen(arguments) or 0
    except KeyboardInterrupt:
        tell("interrupted")
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    for options, serve in ((HELP, _help), (COMPLETION, _complete)):
        if not options.isdisjoint(arguments):
            return _served(serve, arguments)
    for number in INTERRUPTS:
        # nohup ignores SIGHUP so that a run survives its terminal: it stays ignored.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    from vbench.clusters.installation import check_installation, starts_a_cluster
    from vbench.errors import VbenchError

    try:
        # Before the imports below, which take seconds.
        if starts_a_cluster(arguments):
            check_installation()
        from vbench.run.session import run

        return run(arguments)
    except KeyboardInterrupt:
        tell("interrupted: everything that was started has been stopped, and the records so far are kept")
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
        from vbench.load.disk_room import disk_full_message

        tell(f"vbench: {disk_full_message(error)}")
        return VbenchError.exit_status


def _served(serve: Callable[[list[str]], None], arguments: list[str]) -> int:
    """The exit status of what only prints."""
    from vbench.errors import VbenchError

    try:
        serve(arguments)
    except VbenchError as error:
        tell(f"vbench: {error}")
        return error.exit_status
    return 0


def _help(arguments: list[str]) -> None:
    """Print the help page."""
    from vbench.cli import help as page
    from vbench.run.command_line import config_dir

    text = page.text(config_dir(arguments))
    with contextlib.suppress(BrokenPipeError):
        print(text, end="")


def _complete(arguments: list[str]) -> None:
    """Serve the shell that completes a command line, or the user who installs that."""
    from vbench.cli.completion import complete
    from vbench.config.option_files import find_option_files

    given = [argument for argument in arguments if argument not in COMPLETION]
    complete(given, find_option_files(), COMMANDS)


def _interrupt(*_: Any) -> None:
    """End so that every context manager on the way closes what it opened, and is not disturbed at that:
    it takes seconds, and has deadlines."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
