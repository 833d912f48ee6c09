"""Arms and scenarios: which keys of the configuration are compared, and what both are called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.config.leaves import leaves
from vbench.config.runtime_env import recorded_connections
from vbench.config.workload import APP, TRANSFERS, workload_of_plain
from vbench.errors import ConfigError, nearest
from vbench.record.trial import Trial

RUNTIME_KEYS = ("runtime", "runtime.connections")
CANDIDATES = {"runtime": "anyscale", "runtime.connections": "15"}
"""The default candidate of a key that is swept."""

VARIABLE = "runtime.env."
"""Start of the key of each of a runtime's variables."""

PYTHON = "runtime.python"
"""The key of the environment that an arm runs in, which goes by the Ray in it."""

DEFAULT_KEYS = (*RUNTIME_KEYS, PYTHON, "label")
"""Compared by default, with a runtime's variables before the label: the first one that a sweep varies."""

PER_BLOCK = ("label", "block", "blocks", "design", "analysis", "outputs", "tracking", "load.seed")
"""Keys that make no scenario: no result depends on them, or, as the seed, all arms of a block share them."""

Settings = Mapping[str, str]
"""Key -> value, as on the command line: ``{"runtime": "oss"}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two arms to compare: settings of the same keys."""

    baseline: Settings
    candidate: Settings


def parse_settings(items: Sequence[str], option: str) -> dict[str, str]:
    """``KEY=VALUE`` items of a command line option; ConfigError for one that is not of this form."""
    settings = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not (key and equals and value):
            raise ConfigError(f"'{option} {item}' is not KEY=VALUE, such as {option} runtime=oss")
        settings[key] = value
    return settings


def value_of(trial: Trial, key: str) -> str | None:
    """A key's value as text, for a group the option's name; None if there is no such key."""
    if key in trial.swept:
        return plain(trial.swept[key])
    node: Any = trial.config
    for part in key.replace("/", ".").split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    if isinstance(node, Mapping):
        node = node.get("name")
    return plain(str(node))


def plain(value: str) -> str:
    """One spelling for each value: ``10000.0`` is ``10000``, ``True`` is ``true``, ``None`` is ``null``."""
    if value.lower() in ("null", "none"):
        return "null"
    if value.lower() in ("true", "false"):
        return value.lower()
    try:
        number = float(value)
    except ValueError:
        return value
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def matches(trial: Trial, settings: Settings) -> bool:
    """Whether the trial is of the arm that has these settings."""
    return all(value_of(trial, key) == plain(value) for key, value in settings.items())


def pairs(
    trials: Sequence[Trial], swept: Sequence[str], baseline: Settings | None, candidate: Settings | None
) -> list[Pair]:
    """The arms to compare; none if no arm is named and no key of ``DEFAULT_KEYS`` varies.

    With one side given, each other value of its key is the other side in turn. ConfigError for a key or a
    value that no trial has, and for two sides that set different keys.
    """
    for settings in (baseline, candidate):
        _check(trials, settings or {})
    if baseline and candidate:
        if set(baseline) != set(candidate):
            raise ConfigError(
                f"baseline ({settings_text(baseline)}) and candidate ({settings_text(candidate)}) must set"
                f" the same keys"
            )
        if all(plain(baseline[key]) == plain(candidate[key]) for key in baseline):
            raise ConfigError(
                f"baseline and candidate are the same arm ({settings_text(baseline)}); to measure an arm"
                f" against itself, sweep label=a,b"
            )
        return [Pair(baseline=baseline, candidate=candidate)]
    given = baseline or candidate
    if given is None:
        given = _default(trials, swept)
        if given is None:
            return []
    if len(given) > 1:
        raise ConfigError(f"{settings_text(given)} sets several keys: give both --baseline and --candidate")
    ((key, value),) = given.items()
    others = [{key: other} for other in values(trials, key) if other != plain(value)]
    if not others:
        raise ConfigError(f"all trials have {key}={value}: there is nothing to compare it with")
    if baseline:
        return [Pair(baseline=given, candidate=other) for other in others]
    return [Pair(baseline=other, candidate=given) for other in others]


def _default(trials: Sequence[Trial], swept: Sequence[str]) -> Settings | None:
    """The candidate if none is named."""
    *runtime, label = DEFAULT_KEYS
    keys = (*runtime, *(key for key in swept if key.startswith(VARIABLE)), label)
    varied = [key for key in keys if len(values(trials, key)) > 1]
    first = next((key for key in varied if key in swept), None) or next(iter(varied), None)
    if first is None:
        return None
    known = values(trials, first)
    wanted = CANDIDATES.get(first)
    return {first: wanted if wanted in known else known[-1]}


def values(trials: Sequence[Trial], key: str) -> list[str]:
    """All values of a key: numbers by size, texts by name."""
    distinct = {value for trial in trials if (value := value_of(trial, key)) is not None}
    return sorted(distinct, key=by_size)


def by_size(value: str) -> tuple[bool, float, str]:
    """A sort key for values as text: numbers by size, then texts by name."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value


def _check(trials: Sequence[Trial], settings: Settings) -> None:
    for key, value in settings.items():
        known = values(trials, key)
        if not known:
            keys = {name for trial in trials for name in (*trial.swept, *trial.config)}
            raise ConfigError(f"no trial has a key '{key}': {nearest(key, keys)}")
        if plain(value) not in known:
            raise ConfigError(f"no trial has {key}={value}: {nearest(value, known)}")
    if settings and not any(matches(trial, settings) for trial in trials):
        raise ConfigError(f"no trial has {settings_text(settings)} together")


def settings_text(settings: Settings) -> str:
    """``runtime=oss mode=chunked``."""
    return " ".join(f"{key}={plain(value)}" for key, value in settings.items())


def arm_name(trial: Trial, settings: Settings) -> str:
    """An arm by what it sets, not only by a brand: ``Anyscale setting (15 connections)``.

    With other settings than the runtime, both are in it: ``cluster.flow_mbps=5000: OSS (2 connections)``. A
    variable goes by its own name.
    """
    rest = {key.removeprefix(VARIABLE): value for key, value in settings.items() if key not in RUNTIME_KEYS}
    parts = []
    if PYTHON in rest and trial.load_report is not None:
        parts.append(_interpreter_name(trial, trial.load_report.ray_version))
        del rest[PYTHON]
    if rest:
        parts.append(settings_text(rest))
    if set(settings) & set(RUNTIME_KEYS) == {"runtime.connections"}:
        parts.append(_counted(connections(trial)))
    elif set(settings) & set(RUNTIME_KEYS) or "label" in settings:
        parts.append(runtime_name(trial))
    return ": ".join(parts)


def _interpreter_name(trial: Trial, ray: str) -> str:
    """What an arm of ``runtime.python`` runs on: Ray, and torch if that is not vbench's own:
    ``Ray 2.60.0, torch 2.12.0``."""
    own = trial.environment.get("packages", {}).get("torch")
    torch = trial.environment.get("arm", {}).get("packages", {}).get("torch", own)
    return f"Ray {ray}" if torch == own else f"Ray {ray}, torch {torch}"


def runtime_name(trial: Trial) -> str:
    """The runtime setting, and how many connections it makes."""
    runtime = trial.config["runtime"]
    name = {"anyscale": "Anyscale setting", "oss": "OSS"}.get(runtime["name"], str(runtime["name"]))
    if "connections" not in runtime:
        # An option that no trial has used yet is known by name only.
        return name
    # One connection is what OSS Ray had: the number distinguishes both.
    return f"{'OSS' if name == 'single' else name} ({_counted(connections(trial))})"


def _counted(connections: int) -> str:
    return f"{connections} connection{'s' if connections != 1 else ''}"


def connections(trial: Trial) -> int:
    """Connections from one raylet to each peer, as configured."""
    return recorded_connections(trial.config["runtime"])


def scenario_keys(trials: Sequence[Trial], swept: Sequence[str], compared: Sequence[str]) -> list[str]:
    """Keys that distinguish scenarios: what is swept and whatever else differs, except what is compared."""
    inside = [*compared, *PER_BLOCK]
    if "runtime.connections" in compared:
        # The number of connections matters, not the option that it came from.
        inside.append("runtime")
    keys = [key for key in swept if not _below(key, inside)]
    flat = [dict(leaves(trial.config)) for trial in trials]
    every = dict.fromkeys(key for values in flat for key in values)
    for key in every:
        # An older record without the key does not count as different: its code, which is compared too, does.
        known = {str(values[key]) for values in flat if key in values}
        if not _below(key, [*inside, *keys]) and len(known) > 1:
            keys.append(key)
    if "label" not in compared and len(values(trials, "label")) > 1:
        keys.append("label")
    return keys


def _below(key: str, parents: Sequence[str]) -> bool:
    key = key.replace("/", ".")
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)


def scenario_name(trial: Trial, keys: Sequence[str], compared: Sequence[str] = ()) -> str:
    """A scenario's name: ``chunked inference, 10 Gbit/s per flow``; without the mode if modes are
    compared."""
    workload = workload_of_plain(trial.config)
    if workload == TRANSFERS:
        parts = ["object transfer"]
    elif workload == APP:
        app = trial.config["app"]
        parts = [f"application {app['import_path'] or Path(app['config']).name}"]
    else:
        parts = ["inference" if "mode" in compared else f"{trial.config['mode']} inference"]
    for key in keys:
        value = value_of(trial, key)
        if key == "cluster.flow_mbps" and value not in (None, "null"):
            rate = float(value or 0)
            parts.append(f"{rate / 1000:g} Gbit/s per flow" if rate >= 1000 else f"{rate:g} Mbit/s per flow")
        elif key != "mode":
            parts.append(f"{key}={value}")
    return ", ".join(parts)


def single_node_caveats(trials: Sequence[Trial]) -> list[str]:
    """A sentence if trials on one node differ in their connections between nodes; none otherwise."""
    single = {connections(trial) for trial in trials if len(trial.config["cluster"]["nodes"]) == 1}
    if len(single) < 2:
        return []
    return ["On one node there are no connections between nodes, so the runtime setting has no effect."]
