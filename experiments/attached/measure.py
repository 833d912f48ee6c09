"""The study ``anyscale_vs_oss`` on two clusters that run already: ``python experiments/attached/measure.py``.

Starts two clusters, one with each runtime's flags, as somebody with two Anyscale or KubeRay clusters would
have them: here each is five emulated hosts with shaped links. Then it runs the study against their
dashboards, each by an address of this machine and a token of its own, as it would run against any. Nothing of
a cluster changes between trials. An hour with five blocks; nothing else may run meanwhile. The comparison and
its plots are copied into a folder of the runtimes' names beside this file. Further arguments are overrides.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vbench.clusters.emulated import cluster as emulated
from vbench.config.checkout import ROOT
from vbench.run.commands import timed
from vbench.run.compose import compose_configs

HERE = Path(__file__).resolve().parent
SWEEPS = ROOT / "outputs" / "sweeps"
RUNTIMES = "oss,anyscale"
SCALE = 150  # as the study itself was measured on two cores
DASHBOARD_PORT = 8265
LONGEST_S = 4 * 3600.0

FOREIGN_PERCENT = 25
"""The cluster that waits for its turn, and this side of the harness, are others on the machine: both arms
have them. On clusters with machines of their own the rule stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A cluster, as one knows it who has its dashboard's URL and its token."""

    url: str
    token: str


def told() -> list[str]:
    """What one tells a trial of what was really started, where the configuration of ``attached`` is EC2's."""
    (config,) = compose_configs(["cluster=emulated"], multirun=False)
    parts = config.cluster.deployments
    return [
        *(
            f"cluster.nodes.{name}.{key}={getattr(node, key)}"
            for name, node in config.cluster.nodes.items()
            for key in ("cpus", "gpus", "object_store_mb")
        ),
        *(
            f"cluster.deployments.{name}.{key}={getattr(getattr(parts, name), key)}"
            for name in ("decoder", "inference")
            for key in ("replicas", "cpus", "gpus")
        ),
    ]


@contextmanager
def started(runtime: str, log: Path) -> Iterator[Running]:
    """An emulated cluster with a runtime's flags, and a port of this machine that leads to its dashboard."""
    (config,) = compose_configs(
        [
            *("cluster=emulated", f"cluster.scale={SCALE}", f"runtime={runtime}"),
            f"cluster.dashboard_port={DASHBOARD_PORT}",
        ],
        multirun=False,
    )
    with (
        emulated.start(config, log, lambda *_, **__: None) as cluster,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        head, _, _ = cluster.address.partition(":")
        forward = (sys.executable, "-m", "vbench.linux.port_forward", str(listening.fileno()), head)
        with subprocess.Popen(
            (*cluster.enter, *forward, str(DASHBOARD_PORT)), pass_fds=[listening.fileno()]
        ) as forwarding:
            try:
                yield Running(
                    url=f"http://127.0.0.1:{listening.getsockname()[1]}",
                    token=cluster.load_env["RAY_AUTH_TOKEN"],
                )
            finally:
                forwarding.terminate()


def main() -> None:
    """Start both clusters, run the study on them, keep its comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--runtimes", default=RUNTIMES, help="a cluster each (default: %(default)s)")
    options, overrides = parser.parse_known_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # nodes find python by it
    with tempfile.TemporaryDirectory(prefix="vbench-study-") as folder, ExitStack() as stack:
        clusters = {
            runtime: stack.enter_context(started(runtime, Path(folder) / f"{runtime}.log"))
            for runtime in options.runtimes.split(",")
        }
        tokens = {f"RAY_AUTH_TOKEN_{name.upper()}": cluster.token for name, cluster in clusters.items()}
        before = set(SWEEPS.glob("*"))
        took_s, printed = timed(
            [
                *(sys.executable, "-m", "vbench", "+experiments=anyscale_vs_oss", "cluster=attached"),
                *("cluster.flow_mbps=null", f"runtime={options.runtimes}", f"blocks={options.blocks}"),
                *(f"+cluster.addresses.{name}={cluster.url}" for name, cluster in clusters.items()),
                *told(),
                *("tracking=off", f"load.max_foreign_cpu_percent={FOREIGN_PERCENT}"),
                *overrides,
            ],
            longest_s=LONGEST_S,
            statuses=(0, 1),
            env={"RAY_AUTH_MODE": "token", **tokens},
        )
    print(printed)
    (sweep,) = set(SWEEPS.glob("*")) - before
    print(f"{sweep}: {took_s / 60:.0f} min")
    kept = HERE / options.runtimes.replace(",", "_")
    kept.mkdir(exist_ok=True)
    for path in sweep.iterdir():
        if re.fullmatch(r"comparison\.(md|json)|.*\.png", path.name):
            shutil.copy(path, kept)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
