"""What the pictures promise whatever is in them."""

import pytest
from matplotlib.lines import Line2D

from vbench.analysis.plots import legend, new_figure


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
