"""``vbench cluster up|exec|status|down``: an emulated cluster as a tool by itself, for any Ray program."""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from vbench.errors import ConfigError, VbenchError, nearest

COMMANDS = {
    "up": "start a cluster, and leave it running",
    "exec": "run a command on one of its hosts, or a shell",
    "status": "show the clusters that run, and their hosts",
    "down": "stop a cluster, and remove all of it",
}
"""Name of a command -> what it does; its module has the same name."""

HEAD = """\
usage: vbench cluster COMMAND [OPTIONS]

An emulated cluster as a tool by itself: hosts with shaped links on this machine, for any Ray program.

"""

EXAMPLES = """
  vbench cluster up                                        the five published hosts
  vbench cluster up runtime=anyscale cluster.scale=400     any configuration of cluster=emulated
  vbench cluster exec head -- python program.py            ray.init() in it finds the cluster
  vbench cluster exec head -- ray job submit -- python program.py
  vbench cluster exec head                                 a shell
  vbench cluster down

vbench cluster COMMAND --help shows how to use each.
"""


class Parser(argparse.ArgumentParser):
    """Reports errors in one sentence, like the rest of vbench."""

    def error(self, message: str) -> NoReturn:
        """ConfigError, with the message."""
        raise ConfigError(f"{message}; see {self.prog} --help")


def parser_of(command: str, description: str, usage: str | None = None) -> Parser:
    """The command line of one of ``COMMANDS``, with the option that all have."""
    made = Parser(prog=f"vbench cluster {command}", description=description, usage=usage)
    made.add_argument(
        "--name", default=None, help="which cluster, if there are several (default: the one named default)"
    )
    return made


def main(arguments: Sequence[str]) -> int:
    """Run the command that the first argument names; its exit status."""
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h"):
        listing = "".join(f"  {name:<8} {text}\n" for name, text in COMMANDS.items())
        print(HEAD + listing + EXAMPLES, end="")
        raise SystemExit(0)
    if name not in COMMANDS:
        print(
            f"vbench: there is no command cluster {name}: {nearest(name, COMMANDS)}",
            file=sys.stderr,
        )
        return ConfigError.exit_status
    chosen: Callable[[Sequence[str]], int] = import_module(f"vbench.cli.cluster.{name}").main
    try:
        return chosen(arguments[1:])
    except VbenchError as error:
        print(f"vbench: {error}", file=sys.stderr)
        return error.exit_status
