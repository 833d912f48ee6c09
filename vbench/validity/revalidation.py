"""Judges a record again from its files, by the rules of this version."""

import functools
import json
from pathlib import Path

from vbench.config.schema import Config, from_plain
from vbench.errors import first_line
from vbench.record.files import DamagedError, RecordError
from vbench.record.measurements import Measurements, read_measurements
from vbench.record.trial import Rule, Trial
from vbench.validity import rules


def judged(folder: Path, trial: Trial, measured: Measurements | None = None) -> list[Rule]:
    """All rules of this version for a record; ``measured`` are its lines if they are already read.

    RecordError if its configuration is of another version, or if no rule can be applied to the files.
    """
    try:
        # No rule depends on the block, so each arm of a sweep is composed once.
        config = _config(json.dumps({**trial.config, "block": 0}, sort_keys=True))
    except Exception as error:
        raise RecordError(f"{folder} was configured by another version of vbench: {error}") from error
    if measured is None:
        measured = read_measurements(folder, trial.network)
    load_report = trial.load_report if trial.status == "finished" else None
    try:
        return rules.judge(config, load_report, measured, trial.clip, trial.harness)
    except Exception as error:
        raise DamagedError(
            f"{folder} cannot be judged: its files do not fit together ({type(error).__name__}:"
            f" {first_line(error)})"
        ) from error


@functools.lru_cache(maxsize=64)
def _config(plain: str) -> Config:
    return from_plain(json.loads(plain))
