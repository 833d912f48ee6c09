"""How often a rule breaks in an honest trial: ``python experiments/false_alarms/run.py --trials 20``.

Runs that many trials of each kind (local, emulated and attached in both modes, and transfers), kind by kind
in turn, with nothing changed on purpose. Nothing else may run meanwhile. What every rule found is kept in
``result.json`` beside this file after each trial, and counted in ``table.md``; the same command again runs
what is missing. Further arguments are overrides of every trial. The attached cluster is five emulated hosts,
as in ``experiments/attached``. It takes hours.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from vbench.studies import ROOT, timed
from vbench.trial_folder import TRIAL, read_trial, write_json

HERE = Path(__file__).resolve().parent
RESULT = HERE / "result.json"
TABLE = HERE / "table.md"
OUTPUTS = ROOT / "outputs" / "false_alarms"
LONGEST_S = 3600.0
TOO_MANY_FAILURES = 3
"""In a row of one kind, after which the study stops: something is wrong with the machine."""

SCALED = "cluster.scale=150"
"""As in anyscale_vs_oss: two cores then move the bytes with time to spare."""

EMULATED = (
    "pipeline=published",
    "video.scene.width=1920",
    "video.scene.height=1080",
    "video.scene.length_s=8",
    "pipeline.chunk_s=2",
    "load.requests=12",
    "load.warmup=8",
)
"""The published data path with the clip of anyscale_vs_oss: the links are what its transfers wait for."""

LOCAL = ("cluster=local", "video.scene.length_s=10", "load.requests=16")

KINDS: dict[str, tuple[str, ...]] = {
    "local chunked": ("mode=chunked", *LOCAL),
    "local combined": ("mode=combined", *LOCAL),
    "emulated chunked": ("cluster=emulated", SCALED, "mode=chunked", "runtime=anyscale", *EMULATED),
    "emulated combined": ("cluster=emulated", SCALED, "mode=combined", "runtime=single", *EMULATED),
    "transfer": ("cluster=emulated", "load=transfer", "runtime=oss"),
    "attached chunked": ("cluster=attached", "cluster.flow_mbps=null", "mode=chunked", *EMULATED),
    "attached combined": ("cluster=attached", "cluster.flow_mbps=null", "mode=combined", *EMULATED),
}
"""Kind -> overrides. Of ``runtime`` each kind has one: slow pulls (single) that Ray repeats, and fast
ones."""

ATTACHED_RUNTIME = "oss"


def attached() -> ModuleType:
    """The study of attached clusters, which knows how to start one."""
    path = ROOT / "experiments" / "attached" / "measure.py"
    spec = importlib.util.spec_from_file_location("attached_measure", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(kind: str, overrides: Sequence[str]) -> dict[str, Any]:
    """One trial; what its rules found."""
    study = attached() if kind.startswith("attached") else None
    env: dict[str, str] = {}
    more: list[str] = []
    with tempfile.TemporaryDirectory(prefix="vbench-alarms-") as folder:
        cluster = study.started(ATTACHED_RUNTIME, Path(folder) / "ray.log") if study else nullcontext()
        with cluster as running:
            if study:
                env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": running.token}
                more = [
                    f"cluster.address={running.url}",
                    f"runtime={ATTACHED_RUNTIME}",
                    # The harness and the Jobs API's client are others on this one machine.
                    f"load.max_foreign_cpu_percent={study.FOREIGN_PERCENT}",
                    *study.told(),
                ]
            before = set(OUTPUTS.glob("runs/*"))
            command = [sys.executable, "-m", "vbench", f"outputs={OUTPUTS}", "tracking=off", *KINDS[kind]]
            _, printed = timed([*command, *more, *overrides], longest_s=LONGEST_S, statuses=(0, 1), env=env)
    found = [path for path in set(OUTPUTS.glob("runs/*")) - before if (path / TRIAL).exists()]
    if len(found) != 1:
        raise SystemExit(f"a trial of kind {kind} left no record:\n{printed}")
    trial = read_trial(found[0])
    return {
        "kind": kind,
        "started": trial.started,
        "trial_id": trial.trial_id,
        "status": trial.status,
        "error": trial.error,
        "valid": trial.valid,
        "code": trial.environment.get("code"),
        "loosened": list(trial.loosened),
        "rules": [{"name": rule.name, "holds": rule.holds, "found": rule.found} for rule in trial.rules],
        "latency_mean_s": trial.metrics.get("latency_mean_s"),
        "sent_over_needed": trial.metrics.get("sent_over_needed"),
    }


def table(trials: Sequence[dict[str, Any]]) -> str:
    """Markdown: of each kind how many trials there were, and of each rule how many broke it."""
    kinds = [kind for kind in KINDS if any(each["kind"] == kind for each in trials)]
    finished = [each for each in trials if each["status"] == "finished"]
    count = Counter(each["kind"] for each in finished)
    valid = Counter(each["kind"] for each in finished if each["valid"])
    judged = Counter((rule["name"], each["kind"]) for each in finished for rule in each["rules"])
    broken = Counter(
        (rule["name"], each["kind"]) for each in finished for rule in each["rules"] if not rule["holds"]
    )
    lines = ["# Honest trials that a rule called invalid", ""]
    lines += ["| rule | " + " | ".join(kinds) + " |", "|---|" + "--:|" * len(kinds)]
    lines.append(
        "| **valid trials** | " + " | ".join(f"{valid[kind]} of {count[kind]}" for kind in kinds) + " |"
    )
    for name in dict.fromkeys(rule["name"] for each in finished for rule in each["rules"]):
        cells = [f"{broken[name, kind]}" if judged[name, kind] else "" for kind in kinds]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Trials that broke the rule; empty: the rule does not apply to the kind.", ""]
    for each in trials:
        why = [f"{rule['name']}: {rule['found']}" for rule in each["rules"] if not rule["holds"]]
        if why:
            lines.append(
                f"- {each['kind']}, {each['started']}: {'; '.join(why)} {each['error'] or ''}".rstrip()
            )
    return "\n".join(lines).rstrip() + "\n"


def read() -> list[dict[str, Any]]:
    return json.loads(RESULT.read_text()) if RESULT.exists() else []


def main() -> int:
    """Run what is missing; 0 if no finished trial broke a rule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20, help="of each kind (default: %(default)s)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="separated by commas (default: all)")
    options, overrides = parser.parse_known_args()
    kinds = options.kinds.split(",")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        parser.error(f"there is no kind {unknown[0]!r}; there are: {', '.join(KINDS)}")
    os.environ["PATH"] = (
        f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # attached nodes find python by it
    )
    failures: Counter[str] = Counter()
    for number in range(1, options.trials + 1):
        for kind in kinds:
            done = sum(each["kind"] == kind and each["status"] == "finished" for each in read())
            while done < number:
                each = run(kind, overrides)
                write_json(RESULT, [*read(), each])
                TABLE.write_text(table(read()))
                verdict = "valid" if each["valid"] else "NOT VALID"
                print(f"{kind} {number} of {options.trials}: {each['status']}, {verdict}", flush=True)
                failures[kind] = 0 if each["status"] == "finished" else failures[kind] + 1
                if failures[kind] == TOO_MANY_FAILURES:
                    raise SystemExit(
                        f"{failures[kind]} trials of kind {kind} in a row failed: {each['error']}"
                    )
                done += each["status"] == "finished"
    print(TABLE.read_text())
    return 0 if all(each["valid"] for each in read() if each["status"] == "finished") else 1


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main())
    except subprocess.TimeoutExpired as error:
        sys.exit(f"a trial took more than {error.timeout:g} s")
