"""``python -m vbench.load.app_probe FILE``: imports applications and checks without a cluster.

FILE has a list of configurations. The first that cannot be used is reported as the event ``failed``.
"""

import json
import sys
from pathlib import Path

from vbench.config.app import app_of, application_key
from vbench.config.schema import Config, from_plain
from vbench.config.sizing import node_resources
from vbench.errors import InputError
from vbench.load.app_check import ResponseCheck
from vbench.load.app_placement import check_placement
from vbench.load.events import emit, redirect_stdout
from vbench.load.serve_config import load_applications


def main(arguments: list[str]) -> int:
    """Import all of them; the exit status."""
    redirect_stdout()
    for data in json.loads(Path(arguments[0]).read_text()):
        try:
            _try(from_plain(data))
        except InputError as error:
            emit({"event": "failed", "message": str(error), "bad_input": True})
            return error.exit_status
    emit({"event": "done"})
    return 0


def _try(config: Config) -> None:
    applications = load_applications(config)
    ResponseCheck.of(config)
    nodes = [node_resources(node) for node in config.cluster.nodes.values()]
    check_placement(applications, application_key(app_of(config)), nodes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
