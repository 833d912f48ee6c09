"""The study ``anyscale_vs_oss`` on two running clusters: ``python experiments/attached/measure.py``.

Starts one cluster per runtime, like a user with two Anyscale or KubeRay clusters would have; here each is
five emulated hosts with shaped links. Then runs the study against their dashboards, each at its own address
of this machine and with its own token, as against any attached cluster. The clusters keep running between
trials. Five blocks take an hour; nothing else may run meanwhile. The comparison and its plots are copied into
a folder next to this file, named after the runtimes. Further arguments are overrides.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.attached_cluster import FOREIGN_PERCENT, cluster_overrides, start_cluster
from experiments.lib.commands import timed
from vbench.config.checkout import ROOT

HERE = Path(__file__).resolve().parent
SWEEPS = ROOT / "outputs" / "sweeps"
RUNTIMES = "oss,anyscale"
TIMEOUT_S = 4 * 3600.0


def main() -> None:
    """Start the clusters, run the study on them, and keep its comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--runtimes", default=RUNTIMES, help="one cluster per runtime (default: %(default)s)")
    options, overrides = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="vbench-study-") as folder, ExitStack() as stack:
        clusters = {
            runtime: stack.enter_context(start_cluster(runtime, Path(folder) / f"{runtime}.log"))
            for runtime in options.runtimes.split(",")
        }
        tokens = {f"RAY_AUTH_TOKEN_{name.upper()}": cluster.token for name, cluster in clusters.items()}
        before = set(SWEEPS.glob("*"))
        wall_s, output = timed(
            [
                *(sys.executable, "-m", "vbench", "+experiments=anyscale_vs_oss", "cluster=attached"),
                *("cluster.flow_mbps=null", f"runtime={options.runtimes}", f"blocks={options.blocks}"),
                *(f"+cluster.addresses.{name}={cluster.url}" for name, cluster in clusters.items()),
                *cluster_overrides(),
                *("tracking=off", f"load.max_foreign_cpu_percent={FOREIGN_PERCENT}"),
                *overrides,
            ],
            timeout_s=TIMEOUT_S,
            statuses=(0, 1),
            env={"RAY_AUTH_MODE": "token", **tokens},
        )
    print(output)
    (sweep,) = set(SWEEPS.glob("*")) - before
    print(f"{sweep}: {wall_s / 60:.0f} min")
    results = HERE / options.runtimes.replace(",", "_")
    results.mkdir(exist_ok=True)
    for path in sweep.iterdir():
        if re.fullmatch(r"comparison\.(md|json)|.*\.png", path.name):
            shutil.copy(path, results)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
