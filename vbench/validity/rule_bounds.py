"""The bounds of the rules: their keys, their shipped values, and which ones a configuration loosened.

Every key of ``load`` that begins with ``max_`` or ``min_`` bounds a rule. A larger maximum or a smaller
minimum than the shipped one lets trials pass that would otherwise be invalid, and so does a key that disables
a rule at 0. Everything that reports validity reports these too.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from vbench.config.schema import LoadConfig
from vbench.record.trial import Trial

GROUP = "load"
MOST, LEAST = "max_", "min_"


OFF_AT_ZERO = {
    "load.warmup": "cold replicas are not judged",
    "video.scene.objects": "what the detector finds is not judged",
}
"""Keys that disable a rule at 0, and what that means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One bound of a rule."""

    key: str
    """As on the command line: ``load.max_late_ms``."""
    shipped: float
    """The default value."""

    def is_looser(self, value: float) -> bool:
        """Whether ``value`` lets trials pass that the shipped bound stops; NaN and infinity bound nothing."""
        if not math.isfinite(value):
            return True
        name = self.key.rpartition(".")[2]
        return value > self.shipped if name.startswith(MOST) else value < self.shipped


def _bounds() -> tuple[Bound, ...]:
    shipped = LoadConfig(name="")
    return tuple(
        Bound(key=f"{GROUP}.{key.name}", shipped=float(getattr(shipped, key.name)))
        for key in fields(LoadConfig)
        if key.name.startswith((MOST, LEAST))
    )


BOUNDS = _bounds()
"""All bounds of rules that a configuration can set."""


def loosened(config: Mapping[str, Any]) -> list[str]:
    """``KEY=VALUE (shipped: VALUE)`` for each bound that a trial's resolved configuration loosened, and
    ``KEY=0 (WHAT is not judged)`` for each rule that it disabled.

    A bound that the configuration does not have, as in records of earlier versions, is not loosened.
    """
    sentences = []
    for bound in BOUNDS:
        value = _value_at(config, bound.key)
        if value is not None and bound.is_looser(float(value)):
            sentences.append(f"{bound.key}={float(value):g} (shipped: {bound.shipped:g})")
    return sentences + [
        f"{key}=0 ({meaning})" for key, meaning in OFF_AT_ZERO.items() if _value_at(config, key) == 0
    ]


def _value_at(config: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key; None if there is none."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def caveats(trials: Iterable[Trial]) -> list[str]:
    """One sentence that every result of these trials must show if a bound was loosened; otherwise none."""
    trials = list(trials)
    counted = Counter(text for trial in trials for text in loosened(trial.config))
    if not counted:
        return []
    named = ", ".join(f"{text}{_of(count, trials)}" for text, count in sorted(counted.items()))
    return [f"LIMITS LOOSENED: {named}. By the shipped limits, a trial may be invalid."]


def _of(count: int, trials: Sequence[Trial]) -> str:
    return f" in {count} of {len(trials)} trials" if len(trials) > 1 else ""
