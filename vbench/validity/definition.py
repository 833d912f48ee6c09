"""What a rule of validity is: its name, what it means, and what to do if it is broken."""

from dataclasses import dataclass

from vbench.record.trial import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What to do in one case, if a rule has several remedies."""

    case: str
    """When it applies, as the beginning of a sentence: ``on an attached cluster``."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDefinition:
    """A rule as the manual explains it; a trial's record has its verdict, a ``Rule``."""

    name: str
    """What holds in a valid trial, in a few words."""
    meaning: str
    """What exactly holds, with bounds; for the manual. A bound of the configuration is named by its key."""
    remedy: str
    """What to do if the rule is broken, without a capital and a full stop: the record repeats it."""
    special_remedies: tuple[Remedy, ...] = ()
    """What to do instead in some cases."""

    def verdict(self, *, passed: bool, observed: str, remedy: str | None = None) -> Rule:
        """The rule as judged for one trial; ``remedy``: if another than the usual one helps."""
        return Rule(name=self.name, passed=passed, observed=observed, remedy=remedy or self.remedy)
