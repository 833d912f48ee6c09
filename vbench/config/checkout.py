"""Where the files beside the package are: the configuration's groups, and the studies."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the package, ``conf/`` and ``experiments/``."""

CONF = ROOT / "conf"
EXPERIMENTS = ROOT / "experiments"
