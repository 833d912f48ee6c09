"""What a comparison keeps so that a reader can check each of its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A trial behind a comparison, counted or not, with what a reader needs to check it."""

    trial_id: str
    folder: str
    arm: str
    block: str
    """Counted from 1."""
    sweep: str
    """Empty if there is only one."""
    seed: int
    started: str
    status: str
    counted: bool
    error: str | None
    code: str | None
    """Digest of the code that ran; None in older records."""
    git_revision: str | None
    git_clean: bool | None
    machine: Mapping[str, Any]
    """Host, CPU, cores, memory, GPUs, kernel; for an attached cluster its nodes."""
    versions: Mapping[str, str]
    """Ray, Ray's commit, FFmpeg, Python, torch."""
    config_fingerprint: str
    clip: str | None
    """Fingerprint of the clip's bytes."""
    rules: Sequence[Mapping[str, Any]]
    """Name, passed, observed."""
    metrics: Mapping[str, float]
    ledger: str | None
    """Hash of the line with which the ledger begins it."""
    files: Mapping[str, str]
    """sha256 of the files of its record, as they were compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the numbers of a comparison come from, and whether the records are what their trials wrote."""

    ledger: str
    """How many trials were begun and what became of them, or that there is no ledger."""
    faults: Sequence[str]
    """Records and lines of the ledger that were changed or are gone."""
    remarks: Sequence[str]
    """What is not a fault, but a reader should know."""
    earlier: Sequence[str]
    """Other sweeps that measured the same."""
    sources: Sequence[Source]
    superseded: Sequence[Mapping[str, Any]]
    """Trials that were begun and have no record among the compared ones."""
