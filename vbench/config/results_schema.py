"""The part of the schema that says what becomes of results: where they are logged, and what decides them."""

from dataclasses import dataclass


@dataclass
class TrackingConfig:
    """Where results are logged beside the record files."""

    name: str = "???"
    """Name of the chosen option."""
    experiment: str = "vbench"
    """MLflow's experiment name."""


@dataclass
class AnalysisConfig:
    """What a comparison of the trials decides, which changes no trial."""

    equivalence_percent: float = 5.0
    """A difference in mean latency below this is called equivalent."""
    max_blocks: int | None = None
    """With blocks=auto, the most blocks that the sweep may have; blocks=auto needs it."""
