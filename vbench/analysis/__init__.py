"""Two settings compared: statistics over blocks, limits, where the time went, tables and plots."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vbench.analysis.arms import Settings
from vbench.analysis.comparison import compare
from vbench.analysis.console import show
from vbench.analysis.results import Comparison
from vbench.analysis.trials import read_sweep
from vbench.record import write_json

__all__ = ["Comparison", "compare_sweep", "show", "write"]

PAGE = "comparison.md"
DATA = "comparison.json"
DATA_VERSION = 1


def compare_sweep(
    folder: Path,
    baseline: Settings | None = None,
    candidate: Settings | None = None,
    across: Sequence[str] = (),
) -> Comparison | None:
    """Compare the arms of a sweep over its blocks; None where no arm is named and none is known to compare.

    Without ``baseline`` and ``candidate`` the candidate is ``runtime=anyscale`` (or 15
    ``runtime.connections``, or the last ``label``), against each other value of that key. RecordError where
    the folder holds no sweep, ConfigError for arms that no trial has, NotComparable for trials of different
    machines, clips or code that ``across`` does not name.
    """
    return compare(read_sweep(folder), baseline, candidate, across)


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write page, data and plots into a folder; the files written.

    The trials' folders must still be there: the plot of the links reads their samples.
    """
    from vbench.analysis import plot_links, plot_rate, plots
    from vbench.analysis.markdown import page

    folder.mkdir(parents=True, exist_ok=True)
    pictures = [
        (plots.latency(comparison, folder / "latency.png"), "Latency of every request, and of every block"),
        (plots.stages(comparison, folder / "stages.png"), "Where the time of a request went"),
    ]
    path = plot_rate.rate(comparison, folder / "rate.png")
    if path is not None:
        pictures.append((path, "Rate of transfer by number of connections"))
    nics = []
    for number, scenario in enumerate(comparison.scenarios):
        path = plot_links.links(scenario, folder / f"nics-{number}.png")
        if path is not None:
            nics.append((path, f"NICs over time: {scenario.name}"))
    text = page(comparison, [(path.name, text) for path, text in pictures], [(p.name, t) for p, t in nics])
    (folder / PAGE).write_text(text)
    write_json(folder / DATA, data(comparison))
    return [folder / PAGE, folder / DATA, *(path for path, _ in [*pictures, *nics])]


def data(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain values; trials by the names of their folders, wherever those lie."""
    plain = asdict(comparison)
    points = [point for scenario in plain["scenarios"] for arm in scenario["arms"] for point in arm["points"]]
    for each in (*points, *plain["left_out"]):
        each["folder"] = Path(each["folder"]).name
    return {"version": DATA_VERSION, **plain}
