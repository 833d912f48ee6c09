"""Reads a JSONL file that a key of the configuration names: one value per line, errors with the line's
number."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLine:
    """A line of the file that is not blank."""

    number: int
    """From 1, blank lines counted."""
    start: str
    """How a message about it begins: ``line 3 of KEY=FILE``."""
    value: Any


def read_json_lines(key: str, file: str, example: str) -> list[JsonLine]:
    """The lines of ``file``, the value of ``key``; one at least.

    ConfigError, with ``example`` as what to write, if it cannot be read, or a line is no JSON.
    """
    path = Path(file)
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"{key}={file} cannot be read: {error.strerror}.") from error
    values = [
        _line(f"line {number} of {key}={path}", number, line)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not values:
        raise ConfigError(f"{key}={file} has no request: write one per line, such as {example}.")
    return values


def _line(start: str, number: int, line: bytes) -> JsonLine:
    try:
        return JsonLine(number=number, start=start, value=json.loads(line))
    except ValueError as error:
        raise ConfigError(f"{start} is no JSON ({error}): write one object per line.") from error
