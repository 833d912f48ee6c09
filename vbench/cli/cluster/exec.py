"""``vbench cluster exec HOST [-- CMD ...]``: runs a command on a host of an emulated cluster."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from vbench.cli.cluster.command import parser_of
from vbench.clusters.emulated import state
from vbench.clusters.emulated.nsenter import run_on_host
from vbench.clusters.ray_node import inherited
from vbench.errors import ConfigError, InputError, nearest

SHELL = "/bin/sh"
"""If the user's environment names none."""


def main(arguments: Sequence[str]) -> int:
    """Run the command with this process's streams and terminal; its exit status."""
    parser = parser_of(
        "exec",
        "Run a command on a host of a running cluster. Standard input and output, the terminal and the exit"
        " status are the command's. Its environment has Ray's address and token, so that ray.init(), ray"
        " status and ray job submit work without arguments.",
        usage="vbench cluster exec [--name NAME] HOST [-- CMD ...]",
    )
    parser.add_argument("host", nargs="?", metavar="HOST", help="name of the host, such as head")
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="CMD",
        help="the command and its arguments (default: your shell)",
    )
    options = parser.parse_args(arguments)
    if options.host is None:
        raise ConfigError("name a host, as in: vbench cluster exec head -- ray status")
    given = options.command[1:] if options.command[:1] == ["--"] else options.command
    cluster = state.running(options.name if options.name is not None else state.DEFAULT)
    host = cluster.host(options.host)
    if host is None:
        names = [each.name for each in cluster.hosts]
        raise InputError(
            f"cluster '{cluster.name}' has no host {options.host}: {nearest(options.host, names)}"
        )
    command = given or [os.environ.get("SHELL") or SHELL]
    sys.stdout.flush()
    try:
        return run_on_host(host.pid, command, environment(cluster))
    except OSError as error:
        raise InputError(
            f"{host.name} of the cluster '{cluster.name}' cannot be entered ({error.strerror}): see 'vbench"
            f" cluster status{state.option(cluster.name)}'"
        ) from error


def environment(cluster: state.ClusterState) -> Mapping[str, str]:
    """This process's environment with the cluster's Ray: its address, its token, and its programs first."""
    return inherited() | dict(cluster.env)
