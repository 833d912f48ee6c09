"""``vbench cluster status``: shows the emulated clusters that run by themselves, and their hosts."""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vbench.cli.cluster.command import parser_of
from vbench.clusters.emulated import control, state
from vbench.run.progress import duration

RESPONSE_S = 10.0
"""Longest wait for a cluster's response."""

NOTHING_RUNS = 1


def main(arguments: Sequence[str]) -> int:
    """Print what runs; exit status 0, or 1 if nothing does or Ray does not run on every host."""
    parser = parser_of("status", "Show the clusters that run: their hosts, links, and whether Ray is alive.")
    options = parser.parse_args(arguments)
    names = state.names() if options.name is None else [state.running(options.name).name]
    width = None if sys.stdout.isatty() else shutil.get_terminal_size((110, 24)).columns
    console = Console(highlight=False, width=width)
    if not names:
        console.print("no cluster runs: start one with 'vbench cluster up'")
        return NOTHING_RUNS
    is_well = [_show(console, name) for name in names]
    return 0 if all(is_well) else 1


def _show(console: Console, name: str) -> bool:
    """Print one cluster; whether Ray runs on all its hosts."""
    cluster = state.find(name)
    if cluster is None or not cluster.is_ready:
        console.print(Text(f"{name}: starting", "yellow"))
        return False
    alive = _alive(cluster)
    since = datetime.fromtimestamp(cluster.started_unix_s).astimezone()
    console.print(
        Text(
            f"{name}: up since {since:%Y-%m-%d %H:%M:%S} ({duration(time.time() - cluster.started_unix_s)}),"
            f" runtime={cluster.runtime}, rates divided by {cluster.scale:g}"
        ),
        soft_wrap=True,
    )
    console.print(Text(f"dashboard {cluster.dashboard}, Ray's address {cluster.address}"), soft_wrap=True)
    table = Table()
    for heading in ("host", "address"):
        table.add_column(heading)
    for heading in ("CPUs", "store MB", "NIC Mbit/s", "flow Mbit/s"):
        table.add_column(heading, justify="right")
    table.add_column("Ray")
    for host in cluster.hosts:
        is_alive = alive.get(host.name, False)
        table.add_row(
            *(host.name, host.ip, str(host.cpus), str(host.object_store_mb)),
            *(f"{host.nic_mbps:.4g}", f"{host.flow_mbps:.4g}"),
            Text("alive", "green") if is_alive else Text("ended", "bold red"),
        )
    console.print(table)
    return all(alive.get(host.name, False) for host in cluster.hosts)


def _alive(cluster: state.ClusterState) -> Mapping[str, bool]:
    """Host -> whether Ray runs on it; empty if the cluster does not respond, as while it ends."""
    try:
        response = control.request(Path(cluster.temp_dir), control.STATUS, RESPONSE_S)
    except OSError:
        return {}
    found: dict[str, bool] = response.get("hosts", {})
    return found
