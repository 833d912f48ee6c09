"""Changes vbench in each process that has this folder on its path, as the file VBENCH_SABOTAGE says.

The file holds the names of modules beside this one, with a plus between them. Their ``CHANGES`` are functions
by module of vbench: each is called with that module as soon as it is imported.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

Change = Callable[[ModuleType], None]


class Changed(Loader):
    """Runs a module, then changes it."""

    def __init__(self, loader: Loader, changes: Sequence[Change]) -> None:
        self._loader, self._changes = loader, changes

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        for change in self._changes:
            change(module)


class Finder(MetaPathFinder):
    """Finds the modules that are to be changed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        sabotages = chosen() if fullname.startswith("vbench.") else []
        changes = [importlib.import_module(sabotage).CHANGES.get(fullname) for sabotage in sabotages]
        if not any(changes):
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = Changed(spec.loader, [change for change in changes if change is not None])
        return spec


def chosen() -> list[str]:
    """The sabotages of this process."""
    try:
        names = Path(os.environ["VBENCH_SABOTAGE"]).read_text().strip()
    except (KeyError, FileNotFoundError):
        return []
    return [name for name in names.split("+") if name]


sys.meta_path.insert(0, Finder())
