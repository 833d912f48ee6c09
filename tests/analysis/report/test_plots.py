"""What the pictures promise whatever is in them."""

from pathlib import Path

import pytest
from matplotlib.lines import Line2D

from tests.support import sweeps
from vbench.analysis.comparison import compare
from vbench.analysis.report import plot_nics
from vbench.analysis.report.plots import legend, new_figure
from vbench.analysis.trials import read_sweep


@pytest.mark.parametrize("width_in", [6.5, 9.5, 20.0])
@pytest.mark.parametrize("length", [3, 40, 60])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_legend_stays_within_its_figure(width_in: float, length: int, count: int) -> None:
    figure = new_figure(width_in, 4)
    figure.subplots()
    # Digits, blanks and letters as wide as those of an arm's name.
    labels = [("label=a: Anyscale setting (15 connections) and more of it, long" * 2)[:length]] * count

    legend(figure, [Line2D([], [])] * count, labels, most_columns=3)

    figure.draw_without_rendering()
    drawn = figure.legends[0].get_window_extent()
    assert drawn.x0 >= 0
    assert drawn.x1 <= figure.bbox.x1


def test_all_of_every_rate_is_seen_where_no_cap_is_known(
    tmp_path: Path,
) -> None:
    """A row's panels share their height, and the arm with the highest rate need not be the first."""
    folder = sweeps.write_sweep(
        tmp_path,
        {"runtime": ["oss", "anyscale"]},
        blocks=1,
        latency=lambda settings, _: 5.0 if settings["runtime"] == "oss" else 90.0,
        network=lambda *_: None,
    )
    comparison = compare(read_sweep(folder))
    assert comparison is not None

    figure = plot_nics.draw(comparison.scenarios[0])

    assert figure is not None
    for axes in figure.axes:
        low, high = axes.get_ylim()
        rates = [rate for line in axes.lines for rate in line.get_ydata()]
        assert low == 0 <= min(rates) <= max(rates) <= high
