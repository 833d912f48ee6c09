"""Two settings compared: statistics over blocks, bottlenecks, where the time went, tables and plots."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vbench.analysis import comparison_file
from vbench.analysis.arms import Settings
from vbench.analysis.comparison import compare
from vbench.analysis.report.terminal import show
from vbench.analysis.report.writable import writing
from vbench.analysis.results import Comparison
from vbench.analysis.statistics import WANTED_POINTS
from vbench.analysis.trials import read_sweep

__all__ = ["Comparison", "compare_sweep", "render_again", "show", "write"]

PAGE = "comparison.md"

EFFECTS = ("effects.png", "Change in mean latency by each setting")
LATENCY = ("latency.png", "Latency of every request, and of every block")
BREAKDOWN = ("stages.png", "Where the time of a request went")
TRANSFER_RATE = ("rate.png", "Transfer rate by number of connections")
NICS = "nics-"
PICTURES = (EFFECTS[0], LATENCY[0], BREAKDOWN[0], TRANSFER_RATE[0], f"{NICS}*.png")
"""Files in a folder that count as plots of an earlier comparison."""


def compare_sweep(
    folder: Path,
    baseline: Settings | None = None,
    candidate: Settings | None = None,
    across: Sequence[str] = (),
    wanted_points: float = WANTED_POINTS,
    equivalence_percent: float | None = None,
) -> Comparison | None:
    """Compare the arms of a sweep over its blocks; None if no arm is named and there is no default to
    compare.

    Without ``baseline`` and ``candidate``, the candidate is ``runtime=anyscale`` (or 15
    ``runtime.connections``, or the last ``label``), against each other value of that key. RecordError if the
    folder holds no sweep, ConfigError for arms that no trial has, NotComparableError for trials of different
    machines, clips or code that ``across`` does not name.
    """
    return compare(read_sweep(folder), baseline, candidate, across, wanted_points, equivalence_percent)


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write page, data and plots into a folder; the files written. Plots of an earlier comparison are
    removed.

    The trials' folders must still exist: the plot of the NICs reads their samples. Page and data are written
    before the first plot is drawn, so a plot that fails loses only itself. ConfigError if the folder cannot
    be written to.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in PICTURES:
            for old in folder.glob(pattern):
                old.unlink()
        data = comparison_file.write(comparison, folder)
    drawn: list[tuple[Path, str]] = []
    page = _write_page(comparison, folder, drawn)
    try:
        for picture in (*_plots(comparison, folder), *_nic_plots(comparison, folder)):
            drawn.append(picture)
    finally:
        _write_page(comparison, folder, drawn)
    return [page, data, *(path for path, _ in drawn)]


def render_again(folder: Path) -> list[Path]:
    """Write page and plots again from a folder's ``comparison.json``, without the trials; the files written.

    Plots of the NICs, which need the trials' samples, stay as they are. RecordError if there is no data that
    can be read, ConfigError if the folder cannot be written to.
    """
    with writing(folder):
        comparison = comparison_file.read_and_upgrade(folder)
    drawn = list(_plots(comparison, folder))
    kept = [
        (path, _nic_caption(scenario.name))
        for number, scenario in enumerate(comparison.scenarios)
        if (path := folder / f"{NICS}{number}.png").exists()
    ]
    return [_write_page(comparison, folder, [*drawn, *kept]), *(path for path, _ in drawn)]


def _write_page(comparison: Comparison, folder: Path, pictures: Sequence[tuple[Path, str]]) -> Path:
    from vbench.analysis.report.markdown import page

    shown = [(path.name, caption) for path, caption in pictures]
    nics = [picture for picture in shown if picture[0].startswith(NICS)]
    with writing(folder):
        (folder / PAGE).write_text(
            page(comparison, [picture for picture in shown if picture not in nics], nics)
        )
    return folder / PAGE


def _plots(comparison: Comparison, folder: Path) -> Iterator[tuple[Path, str]]:
    """Each plot that needs no trial, with its caption, drawn and written when the iterator gets to it."""
    from vbench.analysis.report import plot_effects, plot_transfer_rate, plots

    if not comparison.scenarios:
        return
    if comparison.screening is not None:
        name, caption = EFFECTS
        path = plot_effects.effects(comparison.screening, folder / name)
        if path is not None:
            yield path, caption
    name, caption = LATENCY
    yield plots.latency(comparison, folder / name), caption
    if any(scenario.has_stages for scenario in comparison.scenarios):
        name, caption = BREAKDOWN
        yield plots.stages(comparison, folder / name), caption
    if comparison.screening is not None:
        return
    name, caption = TRANSFER_RATE
    path = plot_transfer_rate.rate(comparison, folder / name)
    if path is not None:
        yield path, caption


def _nic_plots(comparison: Comparison, folder: Path) -> Iterator[tuple[Path, str]]:
    """The plot of the NICs of each scenario, with its caption."""
    from vbench.analysis.report import plot_nics

    if comparison.screening is not None:
        return  # its arms are more than fit a picture
    for number, scenario in enumerate(comparison.scenarios):
        path = plot_nics.links(scenario, folder / f"{NICS}{number}.png")
        if path is not None:
            yield path, _nic_caption(scenario.name)


def _nic_caption(scenario: str) -> str:
    return f"NICs over time: {scenario}"
