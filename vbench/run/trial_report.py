"""What is printed at the end of a trial and of a sweep."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vbench.analysis.arms import single_node_caveats
from vbench.config.quoting import shell_quoted
from vbench.config.workload import APP, TRANSFERS, VIDEO, workload_of_plain
from vbench.pipeline.spans import KINDS, STAGES
from vbench.record.bottleneck import Bottleneck
from vbench.record.deployment_times import BUSY, CALLS, COLUMNS, deployments_in
from vbench.record.open_load_metrics import without_mean
from vbench.record.quantiles import PERCENTILES, requests_needed, supported
from vbench.record.trial import Trial, result_caveats
from vbench.validity import rule_bounds, speed

THROUGHPUTS = {
    "video-s/s": "throughput_video_s_per_s",
    "frames/s": "throughput_frames_per_s",
    "Mbit/s": "transfer_mbps",
}
"""Unit -> metric. A transfer has only the last one, a load of videos the others."""

QUANTILE_NOTE = "[ ]: 95% intervals. A quantile with too few requests for one shows how many it needs."

OF_APP = {"requests/s": "throughput_requests_per_s"}
"""The same for an application."""

SWEEP_UNITS = ("video-s/s", "Mbit/s", *OF_APP)
"""The units for which a sweep's table has room."""


def show_trial(console: Console, trial: Trial) -> None:
    """Print whether the trial is valid, its latency and throughput, where the time went, and its
    bottleneck."""
    console.print()
    console.print(_verdict(trial))
    for caveat in result_caveats([trial]):
        console.print(Text(caveat, "yellow"), soft_wrap=True)
    for line in goodput(trial):
        console.print(Text(line), soft_wrap=True)
    if "latency_mean_s" in trial.metrics:
        n = int(trial.metrics["requests"])
        console.print(f"Latency of n = {n} requests{_each(trial)}{_how_sent(trial)}")
        console.print(_latency(trial))
        console.print(Text(QUANTILE_NOTE, "dim"), soft_wrap=True)
        for line in over_time(trial.metrics):
            console.print(Text(line), soft_wrap=True)
        if "first_byte_mean_s" in trial.metrics:
            console.print(first_byte(trial.metrics), soft_wrap=True)
        if workload_of_plain(trial.config) == VIDEO:
            console.print("Stage time per request (s), summed over concurrent chunks (can exceed latency)")
            console.print(_stages(trial))
        if deployments := deployments_in(trial.metrics):
            console.print("Time per call of a deployment (s), mean; busy: share of its replicas' time")
            console.print(_deployments(trial.metrics, deployments))
        if trial.bottleneck is not None:
            show_bottleneck(console, trial.bottleneck)
    for rule in trial.broken:
        console.print(Text(f"  broken: {rule.line}", style="red"), soft_wrap=True)
        console.print(Text(f"     fix: {rule.remedy}"), soft_wrap=True)
    if trial.error:
        console.print(Text(f"  {trial.error}", style="red"), soft_wrap=True)


def _how_sent(trial: Trial) -> str:
    return "" if "keeps_up" in trial.metrics else f", {trial.config['load']['concurrency']} at a time"


def goodput(trial: Trial) -> list[str]:
    """Lines on what became of an open load; none for a closed loop."""
    metrics = trial.metrics
    if "keeps_up" not in metrics:
        return []
    objective = trial.config["load"].get("objective")
    missed = f", {metrics['missed_percent']:.3g}% missed {objective}" if objective else ""
    lines = [
        f"Asked {metrics['offered_requests_per_s']:.3g} requests/s (n = {metrics['requests']:.0f}):"
        f" goodput {metrics['goodput_requests_per_s']:.3g} requests/s,"
        f" {metrics['failed_percent']:.3g}% failed{missed}; at most {metrics['in_flight_max']:.0f} in flight"
    ]
    if "latency_mean_s" not in metrics:
        lines.append(f"NO MEAN LATENCY: {without_mean(metrics)}")
    return lines


def over_time(metrics: Mapping[str, float]) -> list[str]:
    """Lines on how the latency changed within the trial: halves, makespan, and the time with all slots busy.

    Without what an older record does not have.
    """
    lines = []
    if "latency_mean_first_half_s" in metrics:
        lines.append(
            f"First half {metrics['latency_mean_first_half_s']:.2f} s, second half"
            f" {metrics['latency_mean_second_half_s']:.2f} s; makespan {metrics['makespan_s']:.1f} s"
        )
    if "steady_latency_mean_s" in metrics:
        lines.append(
            f"All slots busy for {metrics['steady_s']:.1f} s: mean {metrics['steady_latency_mean_s']:.2f} s"
            f" of n = {metrics['steady_requests']:.0f} requests,"
            f" {metrics['steady_throughput_requests_per_s']:.3g} requests/s"
            f"{_against_all_requests(metrics)}"
        )
    return lines


def _against_all_requests(metrics: Mapping[str, float]) -> str:
    """How much the steady window differs from all requests; a transfer has no throughput of requests."""
    latency = 100 * (metrics["steady_latency_mean_s"] / metrics["latency_mean_s"] - 1)
    text = f"; against all requests, latency {latency:+.1f}%"
    if "throughput_requests_per_s" not in metrics:
        return text
    ratio = metrics["steady_throughput_requests_per_s"] / metrics["throughput_requests_per_s"]
    return f"{text}, throughput {100 * (ratio - 1):+.1f}%"


def first_byte(metrics: Mapping[str, float]) -> str:
    """The line on when responses began, as opposed to when they were complete."""
    mean_s, most_s = metrics["first_byte_mean_s"], metrics["first_byte_max_s"]
    return f"First byte of a response after {mean_s:.3f} s on average, at most {most_s:.3f} s"


def show_bottleneck(console: Console, bottleneck: Bottleneck) -> None:
    """The bottleneck with its utilisation, and in a second line how busy the other resources were."""
    busiest, *others = bottleneck.resources
    console.print(
        Text(
            f"Bottleneck: {busiest.text}, busy {busiest.busy_s:.1f} of"
            f" {bottleneck.measured_s:.1f} s ({100 * bottleneck.utilisation:.0f}%)"
        ),
        soft_wrap=True,
    )
    rest = ", ".join(f"{other.short} {other.busy_s:.1f} s" for other in others)
    if rest:
        console.print(Text(f"            others busy: {rest}", "dim"), soft_wrap=True)


def _each(trial: Trial) -> str:
    """The work of one request."""
    if workload_of_plain(trial.config) == TRANSFERS:
        load = trial.config["load"]
        return f" of {load['objects']} objects of {load['object_mb']:g} MB"
    return f" of {trial.clip.duration_s:g} s of video" if trial.clip else ""


def _verdict(trial: Trial) -> Text:
    count = f"{sum(rule.passed for rule in trial.rules)} of {len(trial.rules)} rules passed"
    text = Text(trial.arm, style="bold")
    text.append("  ")
    loosened = rule_bounds.loosened(trial.config)
    if loosened:
        count += f"; loosened: {', '.join(loosened)}"
    colour = "red" if not trial.valid else "yellow" if loosened else "green"
    text.append(f"valid ({count})" if trial.valid else f"INVALID ({count})", colour)
    return text


def _latency(trial: Trial) -> Table:
    m = trial.metrics
    table = Table()
    values = []
    for name in ("mean", *PERCENTILES, "max"):
        table.add_column(name, justify="right")
        values.append(_quantile(m, name) if name in PERCENTILES else f"{m[f'latency_{name}_s']:.2f} s")
    for unit, name in _throughputs(trial).items():
        if name in m:
            table.add_column(unit, justify="right")
            values.append(f"{m[name]:.1f}")
    table.add_row(*values)
    return table


def _quantile(metrics: Mapping[str, float], name: str) -> str:
    """A quantile above its interval; if the requests do not support it, how many would."""
    needed = requests_needed(PERCENTILES[name])
    value = metrics.get(f"latency_{name}_s")
    if value is None or metrics["requests"] < needed:
        return f"needs\nn = {needed}"
    low, high = (metrics.get(f"latency_{name}_{end}_s") for end in ("low", "high"))
    # An older record has no interval.
    return f"{value:.2f} s" if low is None or high is None else f"{value:.2f} s\n[{low:.2f}, {high:.2f}]"


def _throughputs(trial: Trial) -> Mapping[str, str]:
    """Unit -> metric, of the trial's workload."""
    return OF_APP if workload_of_plain(trial.config) == APP else THROUGHPUTS


def _stages(trial: Trial) -> Table:
    table = Table()
    table.add_column("stage")
    for kind in KINDS:
        table.add_column(kind, justify="right")
    for stage in STAGES:
        values = [trial.metrics.get(f"{stage}_{kind}_s") for kind in KINDS]
        table.add_row(stage, *("" if value is None else f"{value:.3f}" for value in values))
    return table


def _deployments(metrics: Mapping[str, float], deployments: Sequence[str]) -> Table:
    """Where the time of an application's calls went. A time that is not known is left empty."""
    table = Table("deployment")
    for name in ("calls/request", *COLUMNS, "busy"):
        table.add_column(name, justify="right")
    for deployment in deployments:
        times_s = [metrics.get(f"{start}{deployment}") for start in COLUMNS.values()]
        table.add_row(
            Text(deployment),
            f"{metrics[f'{CALLS}{deployment}']:g}",
            *("" if value is None else f"{value:.3f}" for value in times_s),
            f"{metrics[f'{BUSY}{deployment}']:.0f}%",
        )
    return table


def show_sweep(console: Console, trials: Sequence[Trial]) -> None:
    """Print a table with one line per trial."""
    table = Table()
    table.add_column("trial")
    units = [unit for unit in SWEEP_UNITS if any(_rate(trial, unit) is not None for trial in trials)]
    p90 = ["p90"] if any(_supports_p90(trial) for trial in trials) else []
    for name in ("n", "mean latency", *p90, *units, "valid"):
        table.add_column(name, justify="right")
    for trial in trials:
        m = trial.metrics
        if "latency_mean_s" in m:
            cells = [
                f"{m['requests']:.0f}",
                f"{m['latency_mean_s']:.2f} s",
                *(_p90(trial) for _ in p90),
                *("" if (rate := _rate(trial, unit)) is None else f"{rate:.1f}" for unit in units),
            ]
        else:
            cells = [""] * (2 + len(p90) + len(units))
        table.add_row(Text(trial.arm), *cells, _valid(trial))
    console.print(f"\n{len(trials)} trials")
    console.print(table)
    for line in caveats(trials):
        console.print(Text(line), soft_wrap=True)


def _supports_p90(trial: Trial) -> bool:
    return "latency_p90_s" in trial.metrics and supported("latency_p90_s", trial.metrics["requests"])


def _p90(trial: Trial) -> str:
    """Its 90th percentile; if its requests do not support one, how many would."""
    if _supports_p90(trial):
        return f"{trial.metrics['latency_p90_s']:.2f} s"
    return f"needs n = {requests_needed(PERCENTILES['p90'])}"


def _rate(trial: Trial, unit: str) -> float | None:
    """The throughput in this unit; None if the trial has none."""
    return trial.metrics.get(_throughputs(trial).get(unit, ""))


def _valid(trial: Trial) -> Text:
    if not trial.valid:
        return Text("no", "red")
    return Text("yes, loosened", "yellow") if rule_bounds.loosened(trial.config) else Text("yes")


def caveats(trials: Sequence[Trial]) -> list[str]:
    """What a reader of the sweep's table must know before drawing conclusions from it."""
    lines = []
    if any(not trial.valid for trial in trials):
        lines.append("Invalid trials are excluded from every comparison. The reason is in their trial.json.")
    if len({trial.block for trial in trials}) == 1 and len(trials) > 1:
        lines.append(
            "One trial per arm: no confidence interval, so differences may be noise. Run several with"
            " blocks=5."
        )
    lines += [*result_caveats(trials), *rule_bounds.caveats(trials), *speed.caveats(trials)]
    return [*lines, *single_node_caveats(trials)]


def show_locations(console: Console, folder: Path, outputs: Path, page: str | None) -> None:
    """Print where the record is, and how to open MLflow's UI at ``page`` if the trial was logged."""
    console.print(Text(f"record     {_short(folder)}"), soft_wrap=True)
    if page is not None:
        mlflow = str(_short(Path(sys.executable).with_name("mlflow")))
        store = f"sqlite:///{outputs / 'mlflow.db'}"
        command = " ".join(map(shell_quoted, (mlflow, "ui", "--backend-store-uri", store)))
        console.print(Text(f"MLflow UI  {command}"), soft_wrap=True)
        console.print(Text(f"           then open http://127.0.0.1:5000/{page}"), soft_wrap=True)


def _short(path: Path) -> Path:
    """Relative to the current folder if it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
