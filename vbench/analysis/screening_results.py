"""What screening finds: the effect of each setting on each metric, and of settings together."""

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.effects import Effect
from vbench.record.sweep_design import SweepDesign


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingEffect:
    """A setting that goes from one value to another."""

    letter: str
    """Of the factor, in a fractional design; else empty."""
    key: str
    baseline: str
    """The first value."""
    value: str
    effect: Effect | None
    """In a fractional design over both values of all other settings, else at their first values; None if no
    block counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """Pairs of settings whose joint effects add up: one pair, unless the design aliases several."""

    pairs: Sequence[str]
    """Letters of the factors: ``AB``."""
    effect: Effect
    """What both settings changed together differ by from the product of the single changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEffects:
    """The effects on one metric; Holm's correction is over ``settings``, and over ``interactions``."""

    metric: str
    """As in vbench.record.metrics."""
    settings: Sequence[SettingEffect]
    interactions: Sequence[Interaction]
    """Of two settings; none in a one-way design."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """Which of several settings matter."""

    scenario: str
    """What is the same for all runs."""
    design: SweepDesign
    runs: int
    """Arms of the design, each measured once per block."""
    blocks: Sequence[str]
    """With a valid trial of every arm; from 1."""
    metrics: Sequence[MetricEffects]
    """The mean latency first, then a throughput if all trials have one."""
    dropped: Sequence[str] = ()
    """Blocks that do not count, and what they lack. A one-way design needs only two arms of a block, and the
    tables say which it lacks."""

    def values(self) -> dict[str, float]:
        """The changes and their intervals, by names for MLflow."""
        named: dict[str, float] = {}
        for metric in self.metrics:
            for setting in metric.settings:
                if setting.effect is None:
                    continue
                suffix = f"{metric.metric}/{setting.key}: {setting.baseline} to {setting.value}"
                named[f"change_percent/{suffix}"] = setting.effect.change_percent
                if setting.effect.low_percent is not None and setting.effect.high_percent is not None:
                    named[f"change_low_percent/{suffix}"] = setting.effect.low_percent
                    named[f"change_high_percent/{suffix}"] = setting.effect.high_percent
        return named
