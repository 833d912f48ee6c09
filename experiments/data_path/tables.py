"""Prints the tables of the study: ``python experiments/data_path/tables.py outputs/sweeps/TIME``.

``vbench compare`` leaves out invalid trials. Here, a trial that breaks only rules on the fidelity of the
emulated links (``BOUNDS``) counts as a bound: its transfers waited for the machine's CPUs, so it would have
been faster on the same links with more cores, and its latency is an upper bound. The ratio of a valid
baseline to such a candidate is a lower bound. Prints Markdown and writes the numbers to ``result.json`` next
to this file, which README.md quotes.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.results import write_result
from vbench.analysis.arms import value_of
from vbench.analysis.statistics import improvement
from vbench.analysis.trials import read_sweep
from vbench.record.files import read_requests, read_spans
from vbench.record.transfers import frame_bytes_by_route, inter_node_transfers
from vbench.record.trial import Trial

HERE = Path(__file__).resolve().parent
MODES = ("chunked", "combined")
RUNTIMES = {"single": "1 connection", "oss": "2 connections", "anyscale": "15 connections"}
PIPELINES = {
    "published": "`published`: relay, native, all decoded first",
    "relay_native": "relay, native",
    "relay": "relay, model",
    "direct_native": "direct, native",
    "direct": "direct, model",
}
DECODER, MODEL = "decode", "gpu"
"""The nodes that send and that receive the frames."""

BOUNDS = {
    "transfers did not wait for the machine's CPUs",
    "transfers waited for the shaped links",
}
"""Rules that are broken if a trial is slower than it would be on a machine with more cores."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One setting of the study."""

    pipeline: str
    runtime: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The factor by which the candidate's mean latency should be lower than the baseline's."""

    baseline: tuple[str, str]
    """Pipeline and runtime."""
    candidate: tuple[str, str]
    times: float


TARGETS = (
    Target(baseline=("relay_native", "single"), candidate=("direct", "single"), times=4),
    Target(baseline=("relay_native", "anyscale"), candidate=("direct", "anyscale"), times=2),
    Target(baseline=("relay_native", "anyscale"), candidate=("direct", "single"), times=1),
    Target(baseline=("published", "single"), candidate=("direct", "single"), times=5),
    Target(baseline=("published", "anyscale"), candidate=("direct", "anyscale"), times=3),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One trial of an arm."""

    block: int
    latency_s: float
    """Mean over the trial's requests."""
    bound: bool
    """Whether the trial is invalid and its latency is an upper bound."""
    crossings: float
    """How often the frames' bytes had to move between nodes, given where each stage's replicas ran."""
    sent: float
    """Bytes that the decoder's NIC sent, over the frames' bytes."""
    received: float
    """Bytes that the model's NIC received, over the frames' bytes."""
    sent_over_needed: float
    """Bytes that all NICs sent, repeated pulls and headers included, over bytes that had to move."""


def cell(trial: Trial) -> Cell | None:
    """What the tables need of a trial; None if it breaks any rule not in ``BOUNDS``."""
    broken = {rule.name for rule in trial.broken}
    if not trial.valid and not broken <= BOUNDS:
        return None
    folder = Path(trial.folder)
    frames = sum(request.frame_bytes for request in read_requests(folder))
    measured = trial.metrics
    frames_mb = measured["frames_mb_per_request"]
    return Cell(
        block=trial.block,
        latency_s=measured["latency_mean_s"],
        bound=bool(broken),
        crossings=sum(frame_bytes_by_route(inter_node_transfers(read_spans(folder))).values()) / frames,
        sent=measured[f"wire_mb_per_request.{DECODER}"] / frames_mb,
        received=measured[f"wire_received_mb_per_request.{MODEL}"] / frames_mb,
        sent_over_needed=measured["sent_over_needed"],
    )


def ratio(target: Target, mode: str, cells: dict[Arm, list[Cell]]) -> dict[str, Any] | None:
    """Baseline over candidate, for the blocks that have both; None if there is no such block."""
    old = {trial.block: trial for trial in cells.get(Arm(*target.baseline, mode), []) if not trial.bound}
    new = {trial.block: trial for trial in cells.get(Arm(*target.candidate, mode), [])}
    both = sorted(old.keys() & new.keys())
    if not both:
        return None
    change = improvement([old[n].latency_s for n in both], [new[n].latency_s for n in both])

    def times(percent: float | None) -> float | None:
        return None if percent is None else 100 / (100 - percent)

    return {
        "mode": mode,
        "baseline": " ".join(target.baseline),
        "candidate": " ".join(target.candidate),
        "asked_times": target.times,
        "times": times(change.percent),
        "low_times": times(change.low_percent),
        "high_times": times(change.high_percent),
        "blocks": len(both),
        "lower_bound": any(new[n].bound for n in both),
    }


def latencies(mode: str, cells: dict[Arm, list[Cell]]) -> Iterator[str]:
    """Table of mean latencies by pipeline and runtime."""
    yield f"| {mode}, s | {' | '.join(RUNTIMES.values())} |"
    yield f"|---|{'--:|' * len(RUNTIMES)}"
    for pipeline, words in PIPELINES.items():
        cells_of_row = (_latency(cells.get(Arm(pipeline, runtime, mode), [])) for runtime in RUNTIMES)
        yield f"| {words} | {' | '.join(cells_of_row)} |"


def _latency(taken: Sequence[Cell]) -> str:
    if not taken:
        return "not valid"
    mean = statistics.fmean(one.latency_s for one in taken)
    return f"{'at most ' if any(one.bound for one in taken) else ''}{mean:.1f}"


def ratios(values: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Table of ratios and targets."""
    yield "| | mode | latency is lower by a factor of [95% interval] | target |"
    yield "|---|---|--:|--:|"
    for value in values:
        interval = ""
        if value["low_times"] is not None:
            interval = f" [{value['low_times']:.1f}, {value['high_times']:.1f}]"
        least = "at least " if value["lower_bound"] else ""
        yield (
            f"| `{value['candidate']}` against `{value['baseline']}` | {value['mode']} |"
            f" {least}{value['times']:.1f}{interval} | {value['asked_times']:g} |"
        )


def crossings(cells: dict[Arm, list[Cell]]) -> Iterator[str]:
    """Table of how often frames had to move between nodes, and how often the NICs sent and received them."""
    yield "| | had to cross | left the decoder's NIC | came to the model's NIC | all sent / needed |"
    yield "|---|--:|--:|--:|--:|"
    for pipeline, words in PIPELINES.items():
        for runtime, name in RUNTIMES.items():
            taken = [one for mode in MODES for one in cells.get(Arm(pipeline, runtime, mode), [])]
            if taken:
                columns = (
                    _range([getattr(one, key) for one in taken])
                    for key in ("crossings", "sent", "received", "sent_over_needed")
                )
                yield f"| {words}, {name} | {' | '.join(columns)} |"


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def main() -> None:
    """Read a sweep, print its tables and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    trial_set = read_sweep(parser.parse_args().folder)
    cells: dict[Arm, list[Cell]] = {}
    left_out: list[str] = []
    for measured in trial_set.trials:
        trial = measured.trial
        arm = Arm(*(value_of(trial, key) or "" for key in ("pipeline", "runtime", "mode")))
        taken = cell(trial)
        if taken:
            cells.setdefault(arm, []).append(taken)
        else:
            broken = "; ".join(rule.line for rule in trial.broken)
            left_out.append(f"{trial.arm}, block {trial.block + 1}: {broken}")
    compared = [one for target in TARGETS for mode in MODES if (one := ratio(target, mode, cells))]
    for table in (
        *(latencies(mode, cells) for mode in MODES),
        ratios(compared),
        crossings(cells),
        (f"- left out: {line}" for line in left_out),
        [f"- of the trials planned, {len(trial_set.missing)} left no record"],
    ):
        print("\n".join(table), end="\n\n")
    result = {
        "sweep": trial_set.name,
        "environment": trial_set.trials[0].trial.environment,
        "arms": [{**asdict(arm), "trials": [asdict(one) for one in taken]} for arm, taken in cells.items()],
        "ratios": compared,
        "left_out": left_out,
        "no_record": len(trial_set.missing),
    }
    write_result(HERE / "result.json", result)


if __name__ == "__main__":
    main()
