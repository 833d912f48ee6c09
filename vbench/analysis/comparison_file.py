"""``comparison.json``: a comparison as data, written and read back.

Versions: 3 is the first that is read. 4 names fields as the rest of vbench does (``trials`` were ``points``,
``excluded`` and ``uncounted`` were ``left_out``, ``secondary`` was ``beside``, ``transfer_rate`` was
``reached``, ``bottleneck`` was ``limits``) and the verdict "inconclusive", which was "not told apart". The
numbers are the same. 5 has ``screening``, which is null unless the sweep's design screens settings. 6 has
the quantiles of each row, and how far its other times differ from the mean latency (``beyond_mean``). 7 has
the decision of each row, and the log ratios of its blocks. 8 has the look at the sweep's results,
the confidence of each interval, which was 95% before, and whether the arms are paired.
"""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vbench.analysis.results import Comparison
from vbench.record.earlier_versions import RENAMED_RULES
from vbench.record.files import DamagedError, RecordError, read_json, write_json
from vbench.record.typed_json import reader

DATA = "comparison.json"
DATA_VERSION = 8
READABLE = (3, 4, 5, 6, 7, DATA_VERSION)

RENAMED = {
    "points": "trials",
    "beside": "secondary",
    "reached": "transfer_rate",
    "without_one": "leave_one_out",
    "precise_blocks": "blocks_for_precision",
    "needed_s": "busy_s",
}
"""Keys of version 3 and what they are called now, wherever they are."""


def write(comparison: Comparison, folder: Path) -> Path:
    """Write ``comparison.json`` into a folder, whole or not at all; its path. OSError if it cannot be
    written."""
    write_json(folder / DATA, plain(comparison))
    return folder / DATA


def plain(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain values; trials by the names of their folders, wherever these are."""
    data = asdict(comparison)
    trials = [trial for scenario in data["scenarios"] for arm in scenario["arms"] for trial in arm["trials"]]
    for entry in (*trials, *data["excluded"], *data["provenance"]["sources"]):
        entry["folder"] = Path(entry["folder"]).name
    return {"version": DATA_VERSION, **data}


def read(folder: Path) -> Comparison:
    """The comparison in a folder's ``comparison.json``; RecordError if there is none that can be read."""
    comparison, _ = _read(folder)
    return comparison


def read_and_upgrade(folder: Path) -> Comparison:
    """As ``read``; a file of an earlier version is rewritten in the current one, with the same numbers.

    OSError if it cannot be written.
    """
    comparison, upgraded = _read(folder)
    if upgraded is not None:
        write_json(folder / DATA, upgraded)
    return comparison


def _read(folder: Path) -> tuple[Comparison, dict[str, Any] | None]:
    """The comparison; with it, for a file of an earlier version, what the current one would hold."""
    path = folder / DATA
    try:
        data = read_json(path)
    except FileNotFoundError as error:
        raise RecordError(
            f"{folder} holds no {DATA}: write one with vbench compare {shlex.quote(str(folder))}"
        ) from error
    version = data.get("version") if isinstance(data, dict) else None
    if version not in READABLE:
        *earlier, last = map(str, READABLE)
        raise RecordError(
            f"{path} has version {version}; this vbench reads versions {', '.join(earlier)} and {last}"
        )
    try:
        current = as_current(data)
        comparison: Comparison = reader(Comparison)(
            {key: value for key, value in current.items() if key != "version"}
        )
    except ValueError as error:
        raise DamagedError(f"{path} is damaged: {error}") from error
    return comparison, None if version == DATA_VERSION else current


def as_current(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of any readable version holds, as the current version has it; the numbers are the same."""
    new = {key: value for key, value in data.items() if key != "version"}
    if data["version"] == READABLE[0]:
        new = _from_version_3(new)
    if data["version"] < 6:
        new = _from_version_5(new)
    if data["version"] < 7:
        new = _from_version_6(new)
    if data["version"] < 8:
        new = _from_version_7(new)
    return {"version": DATA_VERSION, "screening": None, "is_paired": True, "look": None, **new}


def _from_version_5(data: Any) -> Any:
    """The same value with what files before version 6 do not have, as unknown."""
    if isinstance(data, list):
        return [_from_version_5(item) for item in data]
    if not isinstance(data, Mapping):
        return data
    new = {key: _from_version_5(value) for key, value in data.items()}
    if "leave_one_out" in new:
        new["quantiles"] = []
    if new.keys() == {"metric", "baseline", "candidate", "improvement"}:
        new["beyond_mean"] = None
    return new


def _from_version_6(new: dict[str, Any]) -> dict[str, Any]:
    """The same with what files before version 7 do not have: unknown in each row."""
    if not isinstance(new["tables"], list):
        return new
    undecided: dict[str, Any] = {"log_ratios": [], "decision": None}
    tables = [{**table, "rows": [{**row, **undecided} for row in table["rows"]]} for table in new["tables"]]
    return {**new, "tables": tables}


def _from_version_7(data: Any) -> Any:
    """The same value with the confidence of each interval of an improvement, which was 95%."""
    if isinstance(data, list):
        return [_from_version_7(item) for item in data]
    if not isinstance(data, Mapping):
        return data
    new = {key: _from_version_7(value) for key, value in data.items()}
    if "slowdown_bound_percent" in new:
        new["confidence_percent"] = 95.0
    return new


def _from_version_3(data: Any) -> Any:
    """The same value with today's keys and verdicts."""
    if isinstance(data, list):
        return [_from_version_3(item) for item in data]
    if data == "not told apart":
        return "inconclusive"
    if not isinstance(data, Mapping):
        return data
    new = {RENAMED.get(key, key): _from_version_3(value) for key, value in data.items()}
    if "left_out" in new:
        new["uncounted" if "scenario" in new else "excluded"] = new.pop("left_out")
    if "other_verdicts" in new:
        new["other_verdicts"] = [
            {"without": without, "verdict": verdict} for without, verdict in new["other_verdicts"]
        ]
    if "limits" in new:
        # A trial's limits held the list of them, by the same name.
        new["resources" if "measured_s" in new else "bottleneck"] = new.pop("limits")
    if new.keys() == {"name", "holds", "found"}:
        name = RENAMED_RULES.get(new["name"], new["name"])
        new = {"name": name, "passed": new["holds"], "observed": new["found"]}
    return new
