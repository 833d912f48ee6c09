"""Stand-ins for planned trials that left no record: their arms and scenarios count all the same."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vbench.analysis.arms import plain, value_of
from vbench.analysis.trials import Found, Measured, Missing
from vbench.record.types import Trial


def stand_ins(found: Found) -> list[Measured]:
    """A trial that is not valid for each one of a sweep's plan that has no record.

    Without them a scenario in which nothing was measured would not be in any table.
    """
    trials = [each.trial for each in found.trials]
    return [Measured(trial=_stand_in(each, trials), sweep="") for each in found.missing if each.settings]


def _stand_in(missing: Missing, trials: Sequence[Trial]) -> Trial:
    """With the configuration of a trial of the same arm; where there is none, with what others have of it."""
    twin = next((trial for trial in trials if trial.arm == missing.arm), None)
    return replace(
        twin or trials[0],
        arm=missing.arm,
        swept=missing.settings,
        block=missing.block or 0,
        status="interrupted",
        error=missing.reason,
        valid=False,
        rules=[],
        metrics={},
        phases_s={},
        config=twin.config if twin else _config(missing.settings, trials),
        clip=None,
        network=None,
        observed=None,
        folder=missing.folder,
    )


def _config(settings: Mapping[str, str], trials: Sequence[Trial]) -> dict[str, Any]:
    """The first trial's configuration with these settings, each as a trial that has it has it. Of an option
    that no trial has chosen only the name is known."""
    config: dict[str, Any] = copy.deepcopy(dict(trials[0].config))
    # Groups first: what they set may be overridden by what is set below them.
    for key in sorted(settings, key=lambda each: each.count(".")):
        *parents, last = key.replace("/", ".").split(".")
        node = config
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                node[parent] = {}
            node = node[parent]
        donor = next((trial for trial in trials if value_of(trial, key) == plain(settings[key])), None)
        if donor is not None:
            node[last] = copy.deepcopy(_below(donor.config, [*parents, last], settings[key]))
        elif isinstance(node.get(last), Mapping):
            node[last] = {"name": settings[key]}
        else:
            node[last] = settings[key]
    return config


def _below(config: Mapping[str, Any], path: Sequence[str], otherwise: str) -> Any:
    node: Any = config
    for part in path:
        if not isinstance(node, Mapping) or part not in node:
            return otherwise
        node = node[part]
    return node
