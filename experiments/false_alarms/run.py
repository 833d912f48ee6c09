"""Counts how often a rule breaks in an honest trial: ``python experiments/false_alarms/run.py --trials 20``.

Runs that many trials of each kind (local, emulated, transfer, attached), alternating between kinds and
between both modes, without any manipulation. Nothing else may run meanwhile. After each trial, what every
rule observed is stored in ``result.json`` next to this file, and counted in ``table.md``. Running the same
command again runs the missing trials; ``--round NAME`` starts again in a folder of that name. Further
arguments are overrides of every trial. The attached cluster is five emulated hosts, as in
``experiments/attached``. It takes hours.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.attached_cluster import FOREIGN_PERCENT, cluster_overrides, start_cluster
from experiments.lib.commands import run_trial
from vbench.config.checkout import ROOT
from vbench.record.files import read_trial, write_json

HERE = Path(__file__).resolve().parent
OUTPUTS = ROOT / "outputs" / "false_alarms"
TIMEOUT_S = 3600.0
TOO_MANY_FAILURES = 3
"""Failures in a row of one kind after which the study stops: something is wrong with the machine."""

SCALED = "cluster.scale=150"
"""As in the study anyscale_vs_oss: two cores then move the bytes with time to spare."""

EMULATED = (
    "pipeline=published",
    "video.scene.width=1920",
    "video.scene.height=1080",
    "video.scene.length_s=4",
    "pipeline.chunk_s=2",
    "load.requests=12",
    "load.warmup=4",
)
"""The published data path with half the clip of anyscale_vs_oss: the links limit the transfers."""

LOCAL = ("cluster=local", "video.scene.length_s=10", "load.requests=16")

ARMS: dict[str, tuple[str, ...]] = {
    "local chunked": ("mode=chunked", *LOCAL),
    "local combined": ("mode=combined", *LOCAL),
    "emulated chunked": ("cluster=emulated", SCALED, "mode=chunked", "runtime=anyscale", *EMULATED),
    "emulated combined": ("cluster=emulated", SCALED, "mode=combined", "runtime=single", *EMULATED),
    "transfer": ("cluster=emulated", "load=transfer", "load.object_mb=24", "runtime=oss"),
    "attached chunked": ("cluster=attached", "cluster.flow_mbps=null", "mode=chunked", *EMULATED),
    "attached combined": ("cluster=attached", "cluster.flow_mbps=null", "mode=combined", *EMULATED),
}
"""Kind and mode -> overrides. Each has one ``runtime``: with slow pulls that Ray repeats (single), or fast
ones."""

KINDS: dict[str, tuple[str, ...]] = {
    kind: tuple(arm for arm in ARMS if arm.split()[0] == kind)
    for kind in ("local", "emulated", "transfer", "attached")
}
"""Kind -> its arms, which take turns."""

ATTACHED_RUNTIME = "oss"


def run(arm: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Run one trial; returns what its rules observed."""
    with tempfile.TemporaryDirectory(prefix="vbench-alarms-") as folder, ExitStack() as stack:
        env: dict[str, str] = {}
        attached: list[str] = []
        if arm in KINDS["attached"]:
            cluster = stack.enter_context(start_cluster(ATTACHED_RUNTIME, Path(folder) / "ray.log"))
            env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": cluster.token}
            attached = [
                f"cluster.address={cluster.url}",
                f"runtime={ATTACHED_RUNTIME}",
                f"load.max_foreign_cpu_percent={FOREIGN_PERCENT}",
                *cluster_overrides(),
            ]
        trial_folder = run_trial(OUTPUTS, *ARMS[arm], *attached, *overrides, timeout_s=TIMEOUT_S, env=env)
    trial = read_trial(trial_folder)
    return {
        "arm": arm,
        "started": trial.started,
        "trial_id": trial.trial_id,
        "status": trial.status,
        "error": trial.error,
        "valid": trial.valid,
        "code": trial.environment.get("code"),
        "loosened": list(trial.loosened),
        "rules": [{"name": rule.name, "holds": rule.passed, "found": rule.observed} for rule in trial.rules],
        "latency_mean_s": trial.metrics.get("latency_mean_s"),
        "sent_over_needed": trial.metrics.get("sent_over_needed"),
    }


def table(trials: Sequence[dict[str, Any]]) -> str:
    """Markdown: the number of trials per arm, and of trials that broke each rule."""
    arms = [arm for arm in ARMS if any(trial["arm"] == arm for trial in trials)]
    finished = [trial for trial in trials if trial["status"] == "finished"]
    count = Counter(trial["arm"] for trial in finished)
    valid = Counter(trial["arm"] for trial in finished if trial["valid"])
    judged = Counter((rule["name"], trial["arm"]) for trial in finished for rule in trial["rules"])
    broken = Counter(
        (rule["name"], trial["arm"]) for trial in finished for rule in trial["rules"] if not rule["holds"]
    )
    lines = ["# Honest trials that a rule called invalid", ""]
    lines += ["| rule | " + " | ".join(arms) + " |", "|---|" + "--:|" * len(arms)]
    lines.append("| **valid trials** | " + " | ".join(f"{valid[arm]} of {count[arm]}" for arm in arms) + " |")
    for name in dict.fromkeys(rule["name"] for trial in finished for rule in trial["rules"]):
        cells = [f"{broken[name, arm]}" if judged[name, arm] else "" for arm in arms]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Trials that broke the rule; empty: the rule does not apply to the arm.", ""]
    for trial in trials:
        why = [f"{rule['name']}: {rule['found']}" for rule in trial["rules"] if not rule["holds"]]
        if why:
            lines.append(
                f"- {trial['arm']}, {trial['started']}: {'; '.join(why)} {trial['error'] or ''}".rstrip()
            )
    return "\n".join(lines).rstrip() + "\n"


def read(result: Path) -> list[dict[str, Any]]:
    """The trials so far."""
    return json.loads(result.read_text()) if result.exists() else []


def main() -> int:
    """Run the missing trials; returns 0 if no finished trial broke a rule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20, help="trials of each kind (default: %(default)s)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="separated by commas (default: all)")
    parser.add_argument("--round", default=".", metavar="NAME", help="folder next to this file")
    options, overrides = parser.parse_known_args()
    kinds = options.kinds.split(",")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        parser.error(f"unknown kind {unknown[0]!r}; choose from {', '.join(KINDS)}")
    folder = HERE / options.round
    folder.mkdir(exist_ok=True)
    result, counted = folder / "result.json", folder / "table.md"
    failures: Counter[str] = Counter()
    for number in range(options.trials):
        for kind in kinds:
            arms = KINDS[kind]
            while (
                sum(trial["arm"] in arms and trial["status"] == "finished" for trial in read(result))
                <= number
            ):
                arm = min(arms, key=Counter(trial["arm"] for trial in read(result)).__getitem__)
                trial = run(arm, overrides)
                write_json(result, [*read(result), trial])
                counted.write_text(table(read(result)))
                verdict = "valid" if trial["valid"] else "NOT VALID"
                print(f"{number + 1} of {options.trials}: {arm}, {trial['status']}, {verdict}", flush=True)
                failures[kind] = 0 if trial["status"] == "finished" else failures[kind] + 1
                if failures[kind] == TOO_MANY_FAILURES:
                    raise SystemExit(f"{failures[kind]} {kind} trials in a row failed: {trial['error']}")
    print(counted.read_text())
    return 0 if all(trial["valid"] for trial in read(result) if trial["status"] == "finished") else 1


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main())
    except subprocess.TimeoutExpired as error:
        sys.exit(f"a trial took longer than {error.timeout:g} s")
