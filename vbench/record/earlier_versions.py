"""Records of earlier schema versions, brought into the form of the current one while they are read."""

from collections.abc import Mapping
from typing import Any

from vbench.record.types import SCHEMA_VERSION

READABLE = (2, SCHEMA_VERSION)
"""Schema versions of ``trial.json`` that can be read; vbench.record.types says how they differ."""

GONE: Mapping[str, tuple[str, ...]] = {
    "requests.jsonl": ("crossed_bytes",),
    "nodes.jsonl": ("gpu_percent", "loopback_bytes", "unix_s"),
}
"""File -> keys of its lines that earlier versions wrote, and that nothing reads."""

GONE_FROM_OBSERVED = ("url", "measured_from_s", "measured_to_s", "quiet_after_s")
"""The same of what ``trial.json`` holds under ``observed``."""


def to_current(trial: dict[str, Any]) -> dict[str, Any]:
    """The content of a ``trial.json`` of any readable version, as the current one has it.

    ``schema_version`` stays that of the file. What is not of the type that it should be stays as it is.
    """
    if trial["schema_version"] == SCHEMA_VERSION:
        return trial
    observed = trial.get("observed")
    if isinstance(observed, dict):
        observed = {key: value for key, value in observed.items() if key not in GONE_FROM_OBSERVED}
    return {**trial, "observed": observed}
