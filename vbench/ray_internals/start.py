"""``python -m vbench.ray_internals.start ...``: ``ray start ...`` without what no trial uses.

On each node Ray's program first imports its other commands, such as Serve's, which takes more CPU time than
starting the node. On the head it starts a server for Ray Client, to which nothing connects.
"""

import sys
from typing import Any

MODULE = "vbench.ray_internals.start"

COMMANDS = ("ray.serve.scripts", "ray.dashboard.modules.job.cli", "ray.util.state.state_cli")
"""Modules of the other commands. Ray's program goes without those that cannot be imported."""


def main() -> None:
    """Run it with the arguments behind ``start``; leaves with its exit status."""
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(COMMANDS))
    from ray.scripts import scripts

    scripts.get_ray_client_dependency_error = lambda: ImportError("a trial has no server for Ray Client")
    scripts.cli(["start", *sys.argv[1:]], prog_name="ray")


if __name__ == "__main__":
    main()
