"""``python -m vbench``."""

import os
import sys

from vbench.cli.entry import command
from vbench.cli.main import main

if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    sys.exit(command(main))
