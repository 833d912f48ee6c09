"""A sweep on disk whose records agree with their lines, and the ledger of its outputs folder."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import records
from vbench.analysis.bottleneck import find_bottleneck
from vbench.config.schema import Config
from vbench.record import files, ledger
from vbench.record.files import SWEEP, write_json, write_lines
from vbench.record.fingerprint import fingerprint
from vbench.record.measurements import Measurements
from vbench.record.metrics import summarize
from vbench.record.question import question
from vbench.record.requests import Request
from vbench.record.trial import Trial
from vbench.validity import rules

LATENCIES_S = {"a": 4.0, "b": 5.0}
ARMS = tuple(LATENCIES_S)
SLOTS = 4
OVERRIDES = ("load.requests=8", "load.concurrency=4", "load.max_late_ms=500")


def outputs_with_sweep(outputs: Path, blocks: int = 2, name: str = "s", **load: Any) -> Path:
    """``outputs/sweeps/NAME`` with a trial of both labels in each block, all of them in the ledger.

    ``load``: keys of ``load`` that differ from the others'.
    """
    folder = outputs / "sweeps" / name
    folder.mkdir(parents=True)
    trials = [
        {"folder": str(2 * block + at), "block": block, "arm": f"label={label}", "overrides": []}
        for block in range(blocks)
        for at, label in enumerate(ARMS)
    ]
    plan = {
        "sweep_id": f"id-{name}",
        "started": "2026-01-01T00:00:00+00:00",
        "swept": ["label"],
        "arguments": ["--multirun", "label=a,b"],
        "cwd": str(outputs),
        "blocks": blocks,
        "trials": trials,
    }
    (folder / SWEEP).write_text(json.dumps(plan))
    for planned in trials:
        arm, block = str(planned["arm"])[-1], int(str(planned["block"]))
        run(outputs, folder / str(planned["folder"]), arm, block, load=load)
    return folder


def run(
    outputs: Path,
    folder: Path,
    label: str,
    block: int,
    status: str = "finished",
    load: Mapping[str, Any] | None = None,
) -> Trial:
    """Leave a trial's record as a trial does: begun in the ledger, files, ended in the ledger."""
    trial_id, config = secrets.token_hex(4), _config(label, str(outputs), load or {})
    sweep_id = f"id-{folder.parent.name}"
    begun = ledger.append(
        outputs,
        ledger.BEGUN,
        {
            "trial_id": trial_id,
            "at": f"2026-01-01T0{block}:00:00+00:00",
            "sweep_id": sweep_id,
            "experiment": "",
            "folder": str(folder),
            "arm": f"label={label}",
            "block": block,
            "question": question(config),
            "command": ["--multirun", "label=a,b"],
            "code": "c0de",
            "host": "bench",
        },
    )
    folder.mkdir()
    requests = _requests(LATENCIES_S[label] * (1 + 0.01 * block))
    first, last = 100.0, max(r.done_s for r in requests)
    nodes = [records.sample(first), records.sample(last)]
    machines = [records.machine(first), records.machine(last)]
    load_report = records.load_report()
    measured = Measurements(requests=requests, nodes=nodes, machines=machines)
    plain = _composed()
    held = [
        rule
        for rule in rules.judge(plain, load_report, measured)
        # What small records cannot keep is as if this record were of a version before that rule.
        if rule.passed
    ]
    trial = replace(
        _base(),
        trial_id=trial_id,
        arm=f"label={label}",
        swept={"label": label},
        block=block,
        started=f"2026-01-01T0{block}:00:0{ARMS.index(label)}+00:00",
        status=status,
        valid=status == "finished",
        rules=held,
        metrics=summarize(records.clip(), measured),
        config=config,
        config_fingerprint=fingerprint(config),
        environment={"host": "bench", "cores": 2, "code": "c0de", "packages": {"ray": "2.60.0"}},
        load_report=load_report,
        ledger=begun,
        outputs=str(outputs.resolve()),
    )
    trial = replace(trial, bottleneck=find_bottleneck(trial, measured))
    write_lines(folder / files.REQUESTS, requests)
    write_lines(folder / files.SPANS, [])
    write_lines(folder / files.NODES, nodes)
    write_lines(folder / files.MACHINES, machines)
    write_json(folder / files.TRIAL, trial)
    facts = {
        "trial_id": trial_id,
        "at": f"2026-01-01T0{block}:30:00+00:00",
        "status": trial.status,
        "valid": trial.valid,
        "files": ledger.file_hashes(folder),
    }
    ledger.append(outputs, ledger.ENDED, facts)
    return trial


def _requests(mean_s: float) -> list[Request]:
    free, requests = [100.0] * SLOTS, []
    for index in range(8):
        at = min(range(SLOTS), key=free.__getitem__)
        start, free[at] = free[at], free[at] + mean_s * (0.9 + 0.2 * index / 7)
        requests.append(
            records.request(
                index, scheduled_s=start, sent_s=start, done_s=free[at], sent_unix_s=1.7e9 + start
            )
        )
    return requests


@cache
def _base() -> Trial:
    return records.trial()


@cache
def _composed() -> Config:
    return records.config(*OVERRIDES)


def _config(label: str, outputs: str, load: Mapping[str, Any]) -> dict[str, Any]:
    composed = _composed()
    return asdict(replace(composed, label=label, outputs=outputs, load=replace(composed.load, **load)))
