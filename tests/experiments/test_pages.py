"""Every headline figure of every page is what the committed data says."""

from pathlib import Path

import pytest
from figures import ROOT, Page, headline_lines

STUDIES = ROOT / "experiments"
NO_DATA = {
    "shapes_detector": "the output of vbench.models.evaluate was not kept; the page says so",
}
"""Pages whose figures cannot be recomputed, and why."""
PAGES = [ROOT / "README.md", *sorted(STUDIES.glob("*/README.md"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_figures_are_those_of_the_data(path: Path) -> None:
    if path.parent.name in NO_DATA:
        assert not list(path.parent.glob("*.json")), "there is data: it has to be held against the page"
        assert "cannot be recomputed" in path.read_text()
        return
    lines = path.read_text().splitlines()
    missing = [line for line in Page(path).rendered() if line not in lines]
    assert not missing, "the data give these lines, and the page has others:\n" + "\n".join(missing)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_no_headline_figure_is_without_data(path: Path) -> None:
    if path.parent.name in NO_DATA:
        return
    rendered = Page(path).rendered()
    bare = [line for line in headline_lines(path) if line not in rendered]
    assert not bare, "no data are named for these lines:\n" + "\n".join(bare)


def test_a_figure_that_is_changed_would_be_found(tmp_path: Path) -> None:
    """A page with one other digit has a line that its data do not give."""
    page = Page(STUDIES / "anyscale_vs_oss" / "README.md")
    text = page.path.read_text()
    line = page.rendered()[0]
    assert line in text.splitlines()
    assert "24%" in line
    assert line.replace("24%", "25%") not in page.rendered()
