"""Writes the JSON file with a study's results, which its page quotes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vbench.telemetry import environment


def conditions() -> dict[str, Any]:
    """When and in which environment a result was measured."""
    return {"environment": environment.describe(), "taken": environment.now()}


def read_result(path: Path) -> dict[str, Any]:
    """The result at ``path``; empty if there is none."""
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return result


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write ``result`` as indented JSON."""
    path.write_text(json.dumps(result, indent=1) + "\n")
