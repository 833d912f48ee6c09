"""Which kind of cluster a configuration asks for."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from vbench.clusters import local
from vbench.clusters.attached import cluster as attached
from vbench.clusters.base import Progress, RunningCluster
from vbench.clusters.emulated import cluster as emulated
from vbench.schema import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a trial asks of a kind of cluster."""

    check: Callable[[Config], None]
    """InputError, in one sentence, where this machine cannot carry it; starts nothing that stays."""
    start: Callable[[Config, Path, Progress], AbstractContextManager[RunningCluster]]
    """A running cluster, Ray's output in a file; on leaving, gone or as it was before."""


KINDS = {
    "local": Kind(check=local.check, start=local.start),
    "emulated": Kind(check=emulated.check, start=emulated.start),
    "attached": Kind(check=attached.check, start=attached.start),
}
"""By ``cluster.name``."""
