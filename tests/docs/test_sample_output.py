"""The output that README and quickstart show is worded as the program words it now."""

import re
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from tests.support import records
from vbench.record.bottleneck import Bottleneck, ResourceTime
from vbench.record.trial import Rule, Trial
from vbench.run.trial_report import show_locations, show_sweep, show_trial

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = re.compile(r"^```text\n(mode=chunked .*?|4 trials.*?)^```", re.DOTALL | re.MULTILINE)

METRICS = {
    "requests": 48.0,
    **{f"latency_{name}_s": 3.86 for name in ("mean", "p50", "p90", "max")},
    **{f"latency_mean_{half}_half_s": 3.8 for half in ("first", "second")},
    **{"makespan_s": 47.5, "steady_s": 45.1, "steady_latency_mean_s": 3.83, "steady_requests": 45.0},
    "steady_throughput_requests_per_s": 0.998,
    **{f"throughput_{unit}_per_s": 20.2 for unit in ("requests", "video_s", "frames")},
    **{f"{stage}_{kind}_s": 0.35 for stage in ("chunk", "decode", "infer") for kind in ("queue", "compute")},
    **{f"{stage}_transfer_s": 0.046 for stage in ("decode", "infer")},
}
RULE = Rule(name="finished", passed=True, observed="it did", remedy="nothing to do")
BOTTLENECK = Bottleneck(
    measured_s=47.5,
    resources=(
        ResourceTime(resource="cores", where="2 of vm", busy_s=47.3),
        ResourceTime(resource="decoders", where="2 replicas", busy_s=46.9),
        ResourceTime(resource="models", where="2 replicas", busy_s=43.1),
    ),
)


def shape(text: str) -> set[str]:
    """The lines of an output, whatever its numbers, and however wide its tables are."""
    plain = re.sub(r"[\d.]+", "0", re.sub(r"([━─ ])\1+", r"\1", text))
    return {line.strip() for line in plain.splitlines() if line.strip()}


def samples(page: str) -> set[str]:
    found = SAMPLE.findall((ROOT / page).read_text())
    assert found
    return {line for sample in found for line in shape(sample)}


def trial(**changes: object) -> Trial:
    made = records.trial(metrics=METRICS, rules=[RULE] * 38, bottleneck=BOTTLENECK)
    assert made.clip is not None
    return replace(made, clip=replace(made.clip, duration_s=20.0), **changes)  # type: ignore[arg-type]


def test_samples_are_worded_as_the_program_words_them() -> None:
    out = StringIO()
    console = Console(file=out, width=110)
    where = "#/experiments/1/runs?viewStateShareKey=vbench"
    show_trial(console, trial())
    show_locations(console, Path("outputs/runs/2026-11-30_03-37-53-705855"), Path("outputs"), where)
    arms = [(mode, runtime) for mode in ("chunked", "combined") for runtime in ("oss", "anyscale")]
    of_arms = []
    for mode, runtime in arms:
        config = records.config(f"mode={mode}", f"runtime={runtime}", "load.requests=8")
        swept = {"mode": mode, "runtime": runtime}
        without_p90 = {name: value for name, value in METRICS.items() if "p90" not in name}
        of_arms.append(
            trial(
                arm=f"mode={mode} runtime={runtime}",
                swept=swept,
                metrics=without_p90,
                config=asdict(config),
            )
        )
    show_sweep(console, of_arms)
    printed = re.sub(r"UI +\S*mlflow ui", "UI .venv/bin/mlflow ui", out.getvalue())

    for page in ("README.md", "docs/quickstart.md"):
        missing = samples(page) - shape(printed) - {"logging to MLflow"}
        assert missing == set(), page
