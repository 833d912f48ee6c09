"""Two settings compared: statistics over blocks, limits, where the time went, tables and plots."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vbench.analysis.arms import Settings
from vbench.analysis.comparison import compare
from vbench.analysis.report.terminal import show
from vbench.analysis.report.writable import writing
from vbench.analysis.results import Comparison
from vbench.analysis.statistics import WIDEST_POINTS
from vbench.analysis.trials import read_sweep
from vbench.record.files import write_json

__all__ = ["Comparison", "compare_sweep", "show", "write"]

PAGE = "comparison.md"
DATA = "comparison.json"
DATA_VERSION = 3

NICS = "nics-"
PICTURES = ("latency.png", "stages.png", "rate.png", f"{NICS}*.png")
"""What of a folder is taken for plots of an earlier comparison."""


def compare_sweep(
    folder: Path,
    baseline: Settings | None = None,
    candidate: Settings | None = None,
    across: Sequence[str] = (),
    wanted_points: float = WIDEST_POINTS,
) -> Comparison | None:
    """Compare the arms of a sweep over its blocks; None where no arm is named and none is known to compare.

    Without ``baseline`` and ``candidate`` the candidate is ``runtime=anyscale`` (or 15
    ``runtime.connections``, or the last ``label``), against each other value of that key. RecordError where
    the folder holds no sweep, ConfigError for arms that no trial has, NotComparable for trials of different
    machines, clips or code that ``across`` does not name.
    """
    return compare(read_sweep(folder), baseline, candidate, across, wanted_points)


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write page, data and plots into a folder; the files written. Plots of an earlier comparison go.

    The trials' folders must still be there: the plot of the links reads their samples. Page and data are
    there before the first plot is drawn: one that cannot be drawn loses nothing but itself. ConfigError where
    the folder cannot be written to.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in PICTURES:
            for old in folder.glob(pattern):
                old.unlink()
        write_json(folder / DATA, data(comparison))
    drawn: list[tuple[Path, str]] = []
    _page(comparison, folder, drawn)
    try:
        for path, caption in _pictures(comparison, folder):
            drawn.append((path, caption))
    finally:
        _page(comparison, folder, drawn)
    return [folder / PAGE, folder / DATA, *(path for path, _ in drawn)]


def _page(comparison: Comparison, folder: Path, drawn: Sequence[tuple[Path, str]]) -> None:
    from vbench.analysis.report.markdown import page

    shown = [(path.name, caption) for path, caption in drawn]
    nics = [each for each in shown if each[0].startswith(NICS)]
    with writing(folder):
        (folder / PAGE).write_text(page(comparison, [each for each in shown if each not in nics], nics))


def _pictures(comparison: Comparison, folder: Path) -> Iterator[tuple[Path, str]]:
    """Each plot with its caption, drawn and written when it is asked for."""
    from vbench.analysis.report import plot_nics, plot_transfer_rate, plots

    if not comparison.scenarios:
        return
    yield plots.latency(comparison, folder / "latency.png"), "Latency of every request, and of every block"
    yield plots.stages(comparison, folder / "stages.png"), "Where the time of a request went"
    path = plot_transfer_rate.rate(comparison, folder / "rate.png")
    if path is not None:
        yield path, "Rate of transfer by number of connections"
    for number, scenario in enumerate(comparison.scenarios):
        path = plot_nics.links(scenario, folder / f"{NICS}{number}.png")
        if path is not None:
            yield path, f"NICs over time: {scenario.name}"


def data(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain values; trials by the names of their folders, wherever those lie."""
    plain = asdict(comparison)
    points = [point for scenario in plain["scenarios"] for arm in scenario["arms"] for point in arm["points"]]
    for each in (*points, *plain["left_out"], *plain["provenance"]["sources"]):
        each["folder"] = Path(each["folder"]).name
    return {"version": DATA_VERSION, **plain}
