"""Placeholders for planned trials that left no record, so that their arms and scenarios are listed."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vbench.analysis.arms import plain, value_of
from vbench.analysis.trials import MissingTrial, SweepTrial, TrialSet
from vbench.record.trial import Trial


def placeholders(trial_set: TrialSet) -> list[SweepTrial]:
    """An invalid trial for each planned one without a record.

    Without them, a scenario in which nothing was measured would be in no table.
    """
    trials = [measured.trial for measured in trial_set.trials]
    return [
        SweepTrial(trial=_placeholder(missing, trials), sweep="")
        for missing in trial_set.missing
        if missing.settings
    ]


def _placeholder(missing: MissingTrial, trials: Sequence[Trial]) -> Trial:
    """With the configuration of a trial of the same arm; without one, with what other trials have of it."""
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
        load_report=None,
        folder=missing.folder,
    )


def _config(settings: Mapping[str, str], trials: Sequence[Trial]) -> dict[str, Any]:
    """The first trial's configuration with these settings, each copied from a trial that has it. An option
    that no trial has used is known by name only."""
    config: dict[str, Any] = copy.deepcopy(dict(trials[0].config))
    # Groups first: keys below them may override what they set.
    for key in sorted(settings, key=lambda dotted: dotted.count(".")):
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
