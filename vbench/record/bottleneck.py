"""What limited a trial: for each resource the least time that its work takes, and which one is the
bottleneck."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Resource = Literal["decoders", "models", "replicas", "flows", "NIC", "cores"]
RESOURCES: tuple[Resource, ...] = ("decoders", "models", "replicas", "flows", "NIC", "cores")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceTime:
    """How long one resource is busy with the work of a trial."""

    resource: Resource
    where: str
    """Which of its kind: ``chunk1 to gpu, 2 connections of 100 Mbit/s``."""
    busy_s: float
    """Seconds that all measured requests together take of it, at the rates of this trial."""

    @property
    def text(self) -> str:
        """What it is, in a sentence: ``NIC (gpu receives at 100 Mbit/s)``, ``Embedder's 2 replicas``."""
        return self.where if self.resource == "replicas" else f"{self.resource} ({self.where})"

    @property
    def short(self) -> str:
        """What it is, in a word or two."""
        return self.where if self.resource == "replicas" else self.resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The busiest resource of a trial, the others after it, and the time that they had."""

    measured_s: float
    """From the first request's due time to the last response; for a transfer, the time in which objects
    moved."""
    resources: Sequence[ResourceTime]
    """At least one: the busiest of each kind, the busiest first."""

    @property
    def busiest(self) -> ResourceTime:
        """The resource that limited the trial."""
        return self.resources[0]

    @property
    def utilisation(self) -> float:
        """Share of the measured time in which the bottleneck was busy, from 0 to about 1."""
        return self.busiest.busy_s / self.measured_s
