"""Which kind of cluster a configuration asks for."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from vbench.clusters.base import Progress, RunningCluster
from vbench.config.schema import Config

NAMES = ("local", "emulated", "attached")
"""Those that a trial can bring up or go to, as ``cluster.name`` has them."""


class Kind(Protocol):
    """What a trial asks of the module of a kind of cluster."""

    def check(self, config: Config) -> None:
        """InputError, in one sentence, where this machine cannot carry it; starts nothing that stays."""

    def start(self, config: Config, log: Path, progress: Progress) -> AbstractContextManager[RunningCluster]:
        """A running cluster, Ray's output in a file; on leaving, gone or as it was before."""


def kind(name: str) -> Kind:
    """The module of one of ``NAMES``, imported when it is asked for: one of them needs Ray, which takes a
    second to import."""
    match name:
        case "local":
            from vbench.clusters import local

            return local
        case "emulated":
            from vbench.clusters.emulated import cluster as emulated

            return emulated
        case "attached":
            from vbench.clusters.attached import cluster as attached

            return attached
    raise ValueError(f"cluster.name={name} is none of {', '.join(NAMES)}")
