"""``python run_load.py JOB [SABOTAGE ...]``: deploys once, then runs the load once as it is and per sabotage.

Sabotages named here change the load process alone; each load leaves its files in a folder of its name, and
the one without in ``as_it_is``.
"""

import copy
import importlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from ray import serve

from vbench.load.measurement import Observation
from vbench.load.spec import PREPARED, read_spec
from vbench.load.video_load import measure, serving


@contextmanager
def changed(sabotage: str) -> Iterator[None]:
    """vbench is as the sabotage has it while the block runs."""
    changes = importlib.import_module(sabotage).CHANGES
    modules = {name: importlib.import_module(name) for name in changes}
    before = {name: dict(vars(module)) for name, module in modules.items()}
    try:
        for name, module in modules.items():
            changes[name](module)
        yield
    finally:
        for name, module in modules.items():
            vars(module).update(before[name])


def main(path: str, *sabotages: str) -> None:
    job = read_spec(Path(path))
    observation = Observation(job)
    with ExitStack() as stack:
        stack.callback(serve.shutdown)
        service = stack.enter_context(serving(job, observation))
        for sabotage in ("", *sabotages):
            folder = job.folder / (sabotage or "as_it_is")
            folder.mkdir()
            (folder / PREPARED).write_bytes((job.folder / PREPARED).read_bytes())
            one = replace(job, folder=folder)
            each = copy.copy(observation)
            each._job = one
            with changed(sabotage) if sabotage else ExitStack():
                measure(one, each, service)


if __name__ == "__main__":
    main(*sys.argv[1:])
