"""``python -m vbench``: the command ``vbench``."""

import sys

from vbench.cli.start import entry_point

if __name__ == "__main__":
    sys.exit(entry_point())
