"""The kinds of clusters, by ``cluster.name``."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from vbench.clusters.base import Progress, RunningCluster
from vbench.config.schema import Config

NAMES = ("local", "emulated", "attached")
"""Those that a trial can start or attach to."""


class Kind(Protocol):
    """What the module of a kind of cluster provides."""

    def check(self, config: Config) -> None:
        """InputError if this machine cannot run it; leaves nothing running."""

    def start(self, config: Config, log: Path, progress: Progress) -> AbstractContextManager[RunningCluster]:
        """A running cluster, with Ray's output in a file; on leaving, ended or left as it was."""


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
