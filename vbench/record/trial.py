"""``trial.json``: everything about a trial except its lines, with a schema version.

Schema versions of ``trial.json`` and the files next to it (vbench.record.earlier_versions reads the old
ones):

- 2: the first version that is still read.
- 3: the bottleneck is stored (``bottleneck``). Fields that can be derived from others, or that nothing read,
  are gone: ``url``, ``measured_from_s``, ``measured_to_s`` and ``quiet_after_s`` (the phase ``settle``) of
  ``observed``, ``crossed_bytes`` of requests, ``loopback_bytes`` and ``unix_s`` of nodes' samples. Others
  have a new name: ``observed`` is ``load_report``, and the keys are listed in vbench.record.earlier_versions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vbench.config.workload import APP, workload_of_plain
from vbench.record.bottleneck import Bottleneck
from vbench.record.clip import Clip
from vbench.record.harness import Harness
from vbench.record.load_report import LoadReport
from vbench.record.network import Network

SCHEMA_VERSION = 3


Status = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of validity, and whether a trial passed it."""

    name: str
    passed: bool
    observed: str
    """What was observed, with its unit."""
    remedy: str
    """What to do if it is broken."""

    @property
    def line(self) -> str:
        """The rule and what was observed, in one line."""
        return f"{self.name}: {self.observed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """``trial.json``: everything about a trial but its lines."""

    schema_version: int = SCHEMA_VERSION
    trial_id: str
    arm: str
    """What was set, without the block: ``mode=combined runtime=oss``."""
    swept: Mapping[str, str]
    """Key -> value of what a sweep varies; of mode and runtime in a single trial."""
    block: int
    seed: int
    started: str
    """ISO 8601, UTC."""
    status: Status
    error: str | None
    """Why it did not finish."""
    valid: bool
    rules: list[Rule]
    metrics: Mapping[str, float]
    """Units are in the names; vbench.record.metrics says how each is computed."""
    phases_s: Mapping[str, float]
    config: Mapping[str, Any]
    config_fingerprint: str
    """Of all that can change a result: config without block, outputs and tracking."""
    environment: Mapping[str, Any]
    clip: Clip | None
    network: Network | None
    """The emulated network; None for clusters that have a real one, or none."""
    load_report: LoadReport | None
    bottleneck: Bottleneck | None = None
    """None for a trial that was not measured to its end, and in records of schema version 2."""
    loosened: Sequence[str] = ()
    """``KEY=VALUE (shipped: VALUE)`` of each limit of a rule that is looser than the shipped one, and
    ``KEY=0 (WHAT is not judged)`` of each rule that was left out."""
    harness: Harness | None = None
    """What the harness saw of itself and of the machine; None in records of earlier versions."""
    ledger: str | None = None
    """Hash of the line with which the ledger of its outputs folder begins it (vbench.record.ledger); None in
    older records, and if that line could not be written."""
    outputs: str = ""
    """Absolute path of the outputs folder at that time; empty in older records."""
    folder: str = field(default="", metadata={"transient": True})
    """Where it was read from; not written."""

    @property
    def broken(self) -> list[Rule]:
        """The rules that the trial breaks."""
        return [rule for rule in self.rules if not rule.passed]

    @property
    def outputs_folder(self) -> Path:
        """The outputs folder; in older records, relative to the folder that vbench was started in."""
        return Path(self.outputs or self.config.get("outputs", "outputs"))


APPROXIMATE = "APPROXIMATE: keyframes stand in for the requested frames (pipeline.keyframes_only)."


RANDOM_WEIGHTS = (
    "RANDOM WEIGHTS: the model was never trained (model.weights=random). Its cost is real,"
    " its detections are not."
)


NOT_CHECKED = (
    "RESPONSES NOT CHECKED: only their status (app.check=null). Whether they are correct is not known; see"
    " app.check."
)


def result_caveats(trials: Iterable[Trial]) -> list[str]:
    """Sentences that every result of these trials must show first; none without such a setting."""
    caveats = set()
    for trial in trials:
        if workload_of_plain(trial.config) == APP:
            if trial.config["app"].get("check") is None:
                caveats.add(NOT_CHECKED)
            continue
        if trial.config["pipeline"].get("keyframes_only", False):  # older records know no such thing
            caveats.add(APPROXIMATE)
        if trial.config["model"].get("weights") == "random":
            caveats.add(RANDOM_WEIGHTS)
    return sorted(caveats)
