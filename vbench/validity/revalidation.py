"""Judges a record again, from its files, by the rules of this version."""

import functools
import json
from pathlib import Path

from vbench.config.schema import Config, from_plain
from vbench.errors import first_line
from vbench.record.files import (
    DamagedError,
    RecordError,
    read_machines,
    read_requests,
    read_samples,
    read_spans,
)
from vbench.record.types import Rule, Trial
from vbench.validity import rules


def judged(folder: Path, trial: Trial) -> list[Rule]:
    """All rules of this version over a record's files; RecordError where its configuration is of another, or
    no rules can be applied to what the files say."""
    try:
        # No rule depends on the block: the arms of a sweep are composed once each.
        config = _config(json.dumps({**trial.config, "block": 0}, sort_keys=True))
    except Exception as error:
        raise RecordError(f"{folder} was configured by another version: {error}") from error
    lines = (read_requests(folder), read_samples(folder), read_machines(folder), read_spans(folder))
    observed = trial.observed if trial.status == "finished" else None
    try:
        return rules.judge(config, observed, *lines, trial.network, trial.clip, harness=trial.harness)
    except Exception as error:
        raise DamagedError(
            f"{folder} cannot be judged: its files do not fit together ({type(error).__name__}:"
            f" {first_line(error)})"
        ) from error


@functools.lru_cache(maxsize=64)
def _config(plain: str) -> Config:
    return from_plain(json.loads(plain))
