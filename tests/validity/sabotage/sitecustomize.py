"""Changes vbench in each process that has this folder on its path, as the file VBENCH_SABOTAGE says.

The file holds the name of a module beside this one, whose ``CHANGES`` are functions by module of vbench: each
is called with that module as soon as it is imported.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType


class Changed(Loader):
    """Runs a module, then changes it."""

    def __init__(self, loader: Loader, sabotage: str) -> None:
        self._loader, self._sabotage = loader, sabotage

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        importlib.import_module(self._sabotage).CHANGES[module.__name__](module)


class Finder(MetaPathFinder):
    """Finds the modules that are to be changed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        sabotage = chosen() if fullname.startswith("vbench.") else ""
        if not sabotage or fullname not in importlib.import_module(sabotage).CHANGES:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = Changed(spec.loader, sabotage)
        return spec


def chosen() -> str:
    """The sabotage of this process; empty for none."""
    try:
        return Path(os.environ["VBENCH_SABOTAGE"]).read_text().strip()
    except (KeyError, FileNotFoundError):
        return ""


sys.meta_path.insert(0, Finder())
