"""The first module of every command: an old Python, or missing packages, end in one sentence.

It must parse and run on any Python 3, so it uses nothing newer.
"""

import sys

OLDEST = (3, 11)
NEWEST = (3, 13)
"""As ``requires-python`` in pyproject.toml."""

REFUSED = 2


def entry_point() -> int:
    """Run the command line of this process; its exit status."""
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        print(
            "vbench: Python {}.{} does not run vbench, which needs 3.11, 3.12 or 3.13: install it with"
            " 'make setup PYTHON=python3.11' and run .venv/bin/vbench, or with"
            " 'python3.11 -m pip install .'".format(*version),
            file=sys.stderr,
        )
        return REFUSED
    try:
        from vbench.cli.main import entry_point as run

        return run()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "vbench":
            raise
        print(
            f"vbench: the package '{error.name}', which vbench needs, is not installed for {sys.executable}:"
            " install it with 'make setup' and run .venv/bin/vbench, or with 'pip install .'",
            file=sys.stderr,
        )
        return REFUSED
