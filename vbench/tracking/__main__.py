"""``python -m vbench.tracking FOLDER ...``: the earlier name of ``vbench log``."""

import sys

from vbench.cli.start import entry_point

if __name__ == "__main__":
    sys.argv.insert(1, "log")
    sys.exit(entry_point())
