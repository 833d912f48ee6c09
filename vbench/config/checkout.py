"""Where the option files and the studies are: in the checkout, or installed inside the package."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package ``vbench``."""

ROOT = PACKAGE.parent
"""The folder that holds the package: the checkout, unless vbench is installed from a wheel."""

IS_INSTALLED = (PACKAGE / "conf").is_dir()
"""Whether vbench is installed from a wheel, which has ``conf/`` and ``experiments/`` in the package."""

CONF = (PACKAGE if IS_INSTALLED else ROOT) / "conf"
EXPERIMENTS = (PACKAGE if IS_INSTALLED else ROOT) / "experiments"
