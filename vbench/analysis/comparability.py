"""Whether trials may be compared at all: same machine, same conditions, same clip, same code."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vbench.errors import ConfigError
from vbench.record.trial import Trial
from vbench.validity import conditions

ASPECTS = ("machine", "conditions", "clip", "code", "responses")
"""What ``--across`` accepts: aspects in which trials must be equal."""

MACHINE = ("host", "cpu", "cores", "memory_mb", "gpus", "kernel")

CODE = ("code", "packages", "python")
"""The digest identifies the files: a commit that changes none of them is the same code."""

OLDER_CODE = ("git_revision", "git_clean", "packages", "python")
"""The same if a record has no digest."""

Fact = tuple[str, str]
"""What must be equal, and how it is displayed."""


class NotComparableError(ConfigError):
    """Trials differ in more than their settings; the message says in what, and how to go on."""


def code_keys(environments: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The keys of their environments that distinguish these trials' code."""
    return CODE if all(environment.get("code") for environment in environments) else OLDER_CODE


def code_text(environment: Mapping[str, Any]) -> str:
    """The digest of the code, and its git revision."""
    revision = environment.get("git_revision")
    if not revision:
        return str(environment.get("code"))
    changed = "" if environment.get("git_clean") else ", with changes"
    return f"{environment.get('code')} (git {revision[:10]}{changed})"


OF_AN_INTERPRETER = "runtime.python="
"""Start of the name of a fact that only trials on the same environment share: its versions are an arm's."""


def _facts(trial: Trial, kind: str, names: Sequence[str]) -> dict[str, Fact]:
    """Fact by name; ``names``: the keys of the environment that count."""
    environment, clip = trial.environment, trial.clip
    if kind == "conditions":
        return {name: (value, value) for name, value in conditions.comparable(trial)}
    if kind == "clip":
        # A clip is its bytes, wherever it is stored.
        known = (clip.fingerprint, f"{Path(clip.path).name} ({clip.fingerprint})") if clip else None
        return {"clip": known or ("none", "none")}
    app = trial.load_report.app if trial.load_report else None
    if kind == "responses":
        digests = app.response_digests if app else {}
        return {f"response to {name}": (digest, digest[:10]) for name, digest in digests.items()}
    facts_by_name: dict[str, Fact] = {}
    hardware = trial.load_report.hardware if trial.load_report else {}
    if kind == "machine" and hardware:
        # The harness only watched: what was measured ran on these.
        return {
            f"{node}'s {name}": (str(value), str(value))
            for node, facts in hardware.items()
            for name, value in facts.items()
            if name != "packages"
        }
    for name in names:
        value = environment.get(name)
        if isinstance(value, Mapping):
            facts_by_name |= {package: (str(version), str(version)) for package, version in value.items()}
        else:
            facts_by_name[name] = (str(value), code_text(environment) if name == "code" else str(value))
    if kind == "code":
        for node, facts in hardware.items():
            packages = facts.get("packages", {})
            facts_by_name |= {
                f"{node}'s {name}": (str(value), str(value)) for name, value in packages.items()
            }
        facts_by_name |= _interpreter(trial)
        used = str(clip and clip.ffmpeg)
        facts_by_name["FFmpeg"] = (used, used)
        facts_by_name["the application"] = (str(app and app.code), str(app and app.code))
    return facts_by_name


def _interpreter(trial: Trial) -> dict[str, Fact]:
    """Ray's commit, and the versions in the environment of ``runtime.python``."""
    commit = str(trial.load_report and trial.load_report.ray_commit)
    python = trial.config.get("runtime", {}).get("python")
    if python is None:
        return {"Ray's commit": (commit, commit)}
    versions = dict(trial.environment.get("arm", {}).get("packages", {}))
    versions |= {"Ray's commit": commit, "python": trial.environment.get("arm", {}).get("python")}
    return {
        f"{OF_AN_INTERPRETER}{python}: {name}": (str(value), str(value)) for name, value in versions.items()
    }


def differences(trials: Sequence[Trial], kind: str) -> list[str]:
    """A phrase per fact that is not the same in all trials, with a trial for each value."""
    names = MACHINE if kind == "machine" else code_keys(trial.environment for trial in trials)
    facts_of_trials = [(trial, facts) for trial in trials if (facts := _facts(trial, kind, names))]
    phrases = []
    for name in dict.fromkeys(name for _, facts in facts_of_trials for name in facts):
        first: dict[str, str] = {}
        is_shared = not (name == "Ray's commit" or name.startswith(OF_AN_INTERPRETER))
        for trial, facts in facts_of_trials:
            if not is_shared and name not in facts:
                continue
            value, shown = facts.get(name, ("None", "None"))
            first.setdefault(value, f"{shown} in trial {Path(trial.folder).name}")
        if len(first) > 1:
            phrases.append(f"{name}: {', '.join(first.values())}")
    return phrases + (_detectors(trials) if kind == "code" else [])


def _detectors(trials: Sequence[Trial]) -> list[str]:
    """A phrase per model whose weights changed although its configuration did not.

    A file or a name on a hub can hold other weights tomorrow. Older records do not know theirs.
    """
    seen: dict[str, dict[str, str]] = {}
    for trial in trials:
        if trial.clip and trial.clip.detector:
            model = json.dumps(trial.config["model"], sort_keys=True)
            location = f"{trial.clip.detector[:10]} in trial {Path(trial.folder).name}"
            seen.setdefault(model, {}).setdefault(trial.clip.detector, location)
    return [
        f"weights of {json.loads(model)['name']} ({json.loads(model)['weights']}): {', '.join(used.values())}"
        for model, used in seen.items()
        if len(used) > 1
    ]


def check(trials: Sequence[Trial], scenario: str, across: Sequence[str]) -> list[str]:
    """Sentences on what differs and may, or is unknown; NotComparableError for what differs and must not.

    ``across``: aspects (machine, conditions, clip, code, responses) in which trials may differ.
    """
    notes = []
    for kind in ASPECTS:
        differing = differences(trials, kind)
        if not differing:
            continue
        text = f"{scenario}: the trials differ in their {kind} ({'; '.join(differing)})"
        if kind not in across:
            raise NotComparableError(f"{text}. To compare them anyway, add --across {kind}.")
        notes.append(f"{text}. Compared anyway, by --across {kind}.")
    environments = [trial.environment for trial in trials]
    if any(environment.get("git_clean") is False for environment in environments):
        known = code_keys(environments) == CODE
        notes.append(
            "The code had uncommitted changes: "
            + ("no git revision reproduces it." if known else "whether all trials ran the same is unknown.")
        )
    return notes
