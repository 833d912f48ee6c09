"""``vbench cluster up [KEY=VALUE ...]``: starts an emulated cluster and leaves it running."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from vbench.cli.cluster.command import parser_of
from vbench.clusters.emulated import cluster as emulated
from vbench.clusters.emulated import state
from vbench.clusters.emulated.keeper import RELEASE
from vbench.clusters.emulated.validate import EMULATED
from vbench.config.schema import Config
from vbench.errors import ConfigError, InputError, TrialError
from vbench.run.compose import compose_one
from vbench.run.progress import Display

DASHBOARD_PORT = 8265
"""Ray's own default, on the head."""

ENDING_S = 60.0
"""A keeper that was told to end has ended within this time."""


def main(arguments: Sequence[str]) -> int:
    """Start the cluster, print how to reach it, and return while it goes on; the exit status."""
    parser = parser_of(
        "up",
        "Start an emulated cluster and leave it running until 'vbench cluster down'. Returns once Ray runs on"
        " every host.",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="as for vbench run cluster=emulated, such as runtime=anyscale or cluster.scale=400",
    )
    options = parser.parse_args(arguments)
    name = options.name if options.name is not None else state.DEFAULT
    config = configuration(options.overrides)
    if state.is_held(name):
        raise state.already_there(name)
    emulated.check(config)
    display = Display()
    try:
        with display.running(), _keeper(name, config) as (keeper, pipe):
            found = _ready(keeper, pipe, display)
            keeper.stdin.write(RELEASE)  # type: ignore[union-attr] # it is a pipe
            keeper.stdin.flush()  # type: ignore[union-attr]
    except KeyboardInterrupt:
        print("interrupted: everything that was started has been stopped", file=sys.stderr)
        return 130
    _show(found, display)
    return 0


def configuration(overrides: Sequence[str]) -> Config:
    """The configuration of an emulated cluster with a dashboard; ConfigError for another kind of cluster."""
    chooses = any(override.startswith("cluster=") for override in overrides)
    config = compose_one([*([] if chooses else [f"cluster={EMULATED}"]), *overrides], deploys=False)
    cluster = config.cluster
    if cluster.name != EMULATED:
        raise ConfigError(
            f"'vbench cluster up' starts emulated clusters, and cluster={cluster.name} is none: leave it out"
        )
    port = cluster.dashboard_port or DASHBOARD_PORT
    return replace(config, cluster=replace(cluster, dashboard_port=port))


@contextmanager
def _keeper(name: str, config: Config) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """The cluster's keeper and its events; it ends with the block unless it was released in it."""
    keeper = subprocess.Popen(
        [sys.executable, "-m", "vbench.clusters.emulated.keeper", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    is_released = False
    try:
        keeper.stdin.write(json.dumps(asdict(config)).encode() + b"\n")
        keeper.stdin.flush()
        yield keeper, keeper.stdout
        is_released = True
    finally:
        with suppress(OSError):
            keeper.stdin.close()
        if not is_released:
            keeper.wait(ENDING_S)
        keeper.stdout.close()


def _ready(keeper: "subprocess.Popen[bytes]", pipe: IO[bytes], display: Display) -> state.ClusterState:
    """Show the progress until the cluster is ready; InputError or TrialError if it cannot be started."""
    for line in pipe:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "ready":
            return state.from_plain(event["state"])
        if event["event"] == "failed":
            raise (InputError if event["bad_input"] else TrialError)(event["message"])
        display.phase(event["phase"], event["done"], event["total"], event["note"])
    raise TrialError(f"the cluster's keeper ended with status {keeper.wait()}")


def _show(cluster: state.ClusterState, display: Display) -> None:
    """How to reach the cluster."""
    option = state.option(cluster.name)
    run = f"vbench cluster exec{option}"
    head = cluster.hosts[0].name
    display.say(
        f"cluster '{cluster.name}' is up after {cluster.took_s:.0f} s: {len(cluster.hosts)} hosts,"
        f" runtime={cluster.runtime}, rates divided by {cluster.scale:g}"
    )
    for what, text in (
        (
            "dashboard",
            f"{cluster.dashboard}   (it asks for a token: {run} {head} -- printenv RAY_AUTH_TOKEN)",
        ),
        ("address", f"{cluster.address}, which only its hosts reach: {', '.join(_names(cluster))}"),
        ("program", f"{run} {head} -- python program.py"),
        ("job", f"{run} {head} -- ray job submit -- python program.py"),
        ("shell", f"{run} {head}"),
        ("log", str(Path(cluster.log))),
        ("stop", f"vbench cluster down{option}"),
    ):
        display.say(f"  {what:<10} {text}")


def _names(cluster: state.ClusterState) -> list[str]:
    return [host.name for host in cluster.hosts]
