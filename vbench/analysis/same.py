"""Whether trials may be compared at all: same machine, same clip, same code."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vbench.errors import ConfigError
from vbench.record import Trial

KINDS = ("machine", "clip", "code")
"""What ``--across`` takes."""

MACHINE = ("host", "cpu", "cores", "memory_mb", "kernel")
CODE = ("git_revision", "git_clean", "packages", "python")


class NotComparable(ConfigError):  # noqa: N818 - what it says of the trials
    """Trials differ in more than their settings; the message says in what, and how to go on."""


def facts(trial: Trial, kind: str) -> dict[str, str]:
    """What must be equal, by name."""
    environment = trial.environment
    if kind == "machine":
        return {name: str(environment.get(name)) for name in MACHINE}
    if kind == "clip":
        clip = trial.clip
        return {"clip": f"{Path(clip.path).name} ({clip.fingerprint})" if clip else "none"}
    code: dict[str, str] = {}
    for name in CODE:
        value: Any = environment.get(name)
        if isinstance(value, Mapping):
            code |= {package: str(version) for package, version in value.items()}
        else:
            code[name] = str(value)
    code["Ray's commit"] = trial.observed.ray_commit if trial.observed else "None"
    return code


def differences(trials: Sequence[Trial], kind: str) -> list[str]:
    """A phrase for each fact that is not the same in all trials, naming a trial for each value."""
    found = []
    each = [(trial, facts(trial, kind)) for trial in trials]
    for name in dict.fromkeys(name for _, values in each for name in values):
        first: dict[str, str] = {}
        for trial, values in each:
            value = _same_clip(values[name]) if kind == "clip" else values.get(name, "None")
            first.setdefault(value, f"{values.get(name)} in trial {Path(trial.folder).name}")
        if len(first) > 1:
            found.append(f"{name}: {', '.join(first.values())}")
    return found


def _same_clip(value: str) -> str:
    """A clip is its bytes, wherever it lies."""
    return value.rpartition("(")[2]


def check(trials: Sequence[Trial], scenario: str, across: Sequence[str]) -> list[str]:
    """Sentences on what differs and was allowed to, or cannot be known; NotComparable for what was not.

    ``across``: kinds (machine, clip, code) in which trials may differ.
    """
    notes = []
    for kind in KINDS:
        found = differences(trials, kind)
        if not found:
            continue
        text = f"{scenario}: the trials differ in their {kind} ({'; '.join(found)})"
        if kind not in across:
            raise NotComparable(f"{text}; --across {kind} compares them all the same.")
        notes.append(f"{text}; compared all the same, as asked.")
    if any(trial.environment.get("git_clean") is False for trial in trials):
        notes.append(
            "The code had changes that were not committed: whether all trials ran the same is not known."
        )
    return notes
