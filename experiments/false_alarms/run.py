"""How often a rule breaks in an honest trial: ``python experiments/false_alarms/run.py --trials 20``.

Runs that many trials of each kind (local, emulated, transfer, attached), kind by kind in turn and
alternating between both modes, with nothing changed on purpose. Nothing else may run meanwhile. What every
rule found is kept in ``result.json`` beside this file after each trial, and counted in ``table.md``; the same
command again runs what is missing, and ``--round NAME`` begins anew in a folder of that name. Further
arguments are overrides of every trial. The attached cluster is five emulated hosts, as in
``experiments/attached``. It takes hours.
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

from vbench.config.checkout import ROOT
from vbench.record.files import TRIAL, read_trial, write_json
from vbench.run.commands import timed

HERE = Path(__file__).resolve().parent
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
    "video.scene.length_s=4",
    "pipeline.chunk_s=2",
    "load.requests=12",
    "load.warmup=4",
)
"""The published data path with half the clip of anyscale_vs_oss: transfers wait for the links."""

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
"""Kind and mode -> overrides. Of ``runtime`` each has one: slow pulls (single) that Ray repeats, and fast
ones."""

KINDS: dict[str, tuple[str, ...]] = {
    kind: tuple(arm for arm in ARMS if arm.split()[0] == kind)
    for kind in ("local", "emulated", "transfer", "attached")
}
"""Kind -> its arms, which take turns."""

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


def run(arm: str, overrides: Sequence[str]) -> dict[str, Any]:
    """One trial; what its rules found."""
    study = attached() if arm in KINDS["attached"] else None
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
            command = [sys.executable, "-m", "vbench", f"outputs={OUTPUTS}", "tracking=off", *ARMS[arm]]
            _, printed = timed([*command, *more, *overrides], longest_s=LONGEST_S, statuses=(0, 1), env=env)
    found = [path for path in set(OUTPUTS.glob("runs/*")) - before if (path / TRIAL).exists()]
    if len(found) != 1:
        raise SystemExit(f"a trial of {arm} left no record:\n{printed}")
    trial = read_trial(found[0])
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
    """Markdown: of each arm how many trials there were, and of each rule how many broke it."""
    arms = [arm for arm in ARMS if any(each["arm"] == arm for each in trials)]
    finished = [each for each in trials if each["status"] == "finished"]
    count = Counter(each["arm"] for each in finished)
    valid = Counter(each["arm"] for each in finished if each["valid"])
    judged = Counter((rule["name"], each["arm"]) for each in finished for rule in each["rules"])
    broken = Counter(
        (rule["name"], each["arm"]) for each in finished for rule in each["rules"] if not rule["holds"]
    )
    lines = ["# Honest trials that a rule called invalid", ""]
    lines += ["| rule | " + " | ".join(arms) + " |", "|---|" + "--:|" * len(arms)]
    lines.append("| **valid trials** | " + " | ".join(f"{valid[arm]} of {count[arm]}" for arm in arms) + " |")
    for name in dict.fromkeys(rule["name"] for each in finished for rule in each["rules"]):
        cells = [f"{broken[name, arm]}" if judged[name, arm] else "" for arm in arms]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Trials that broke the rule; empty: the rule does not apply to the arm.", ""]
    for each in trials:
        why = [f"{rule['name']}: {rule['found']}" for rule in each["rules"] if not rule["holds"]]
        if why:
            lines.append(
                f"- {each['arm']}, {each['started']}: {'; '.join(why)} {each['error'] or ''}".rstrip()
            )
    return "\n".join(lines).rstrip() + "\n"


def read(result: Path) -> list[dict[str, Any]]:
    """The trials so far."""
    return json.loads(result.read_text()) if result.exists() else []


def main() -> int:
    """Run what is missing; 0 if no finished trial broke a rule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20, help="of each kind (default: %(default)s)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="separated by commas (default: all)")
    parser.add_argument("--round", default=".", metavar="NAME", help="a folder beside this file")
    options, overrides = parser.parse_known_args()
    kinds = options.kinds.split(",")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        parser.error(f"there is no kind {unknown[0]!r}; there are: {', '.join(KINDS)}")
    folder = HERE / options.round
    folder.mkdir(exist_ok=True)
    result, counted = folder / "result.json", folder / "table.md"
    os.environ["PATH"] = (
        f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # attached nodes find python by it
    )
    failures: Counter[str] = Counter()
    for number in range(options.trials):
        for kind in kinds:
            arms = KINDS[kind]
            while (
                sum(each["arm"] in arms and each["status"] == "finished" for each in read(result)) <= number
            ):
                arm = min(arms, key=Counter(each["arm"] for each in read(result)).__getitem__)
                each = run(arm, overrides)
                write_json(result, [*read(result), each])
                counted.write_text(table(read(result)))
                verdict = "valid" if each["valid"] else "NOT VALID"
                print(f"{number + 1} of {options.trials}: {arm}, {each['status']}, {verdict}", flush=True)
                failures[kind] = 0 if each["status"] == "finished" else failures[kind] + 1
                if failures[kind] == TOO_MANY_FAILURES:
                    raise SystemExit(f"{failures[kind]} {kind} trials in a row failed: {each['error']}")
    print(counted.read_text())
    return 0 if all(each["valid"] for each in read(result) if each["status"] == "finished") else 1


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main())
    except subprocess.TimeoutExpired as error:
        sys.exit(f"a trial took more than {error.timeout:g} s")
