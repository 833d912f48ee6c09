"""Every headline figure of every page is what the committed data says."""

import json
from pathlib import Path

import pytest

from tests.experiments.figures import INTERVAL, ROOT, Page, bold_figures, headline_lines, prose

STUDIES = ROOT / "experiments"
NO_DATA = {
    "shapes_detector": "the output of vbench.models.evaluate was not kept; the page says so",
}
"""Pages whose figures cannot be recomputed, and why."""
NOT_IN_THE_DATA = {
    "**10 of these go to Ray and Serve**": "profiles of perf, of which only the page's table was kept",
    "**The other 4 are the same work made more expensive**": "the same profiles",
    "**16 MB are libavformat's**": "a single measurement beside the study, as the page says",
}
"""Passages in bold whose figures cannot be recomputed, and why."""

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


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_prose_says_what_the_data_say(path: Path) -> None:
    if path.parent.name in NO_DATA:
        return
    text = prose(path)
    missing = [passage for passage in Page(path).said() if passage not in text]
    assert not missing, "the data give these passages, and the page has others:\n" + "\n".join(missing)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_no_figure_in_bold_is_without_data(path: Path) -> None:
    if path.parent.name in NO_DATA:
        return
    said = Page(path).said()
    bare = [
        passage
        for passage in bold_figures(path)
        if passage not in NOT_IN_THE_DATA and not any(passage in one for one in said)
    ]
    assert not bare, "no data are named for these passages:\n" + "\n".join(bare)


def test_no_interval_in_the_readme_is_without_data() -> None:
    path = ROOT / "README.md"
    said = " ".join(Page(path).said())
    found = INTERVAL.findall(prose(path))
    assert found
    assert [text for text in found if text not in said] == []


COMPARISONS = sorted(STUDIES.rglob("comparison.json"))


@pytest.mark.parametrize("path", COMPARISONS, ids=lambda path: str(path.parent.relative_to(STUDIES)))
def test_every_counted_trial_can_be_checked_by_a_reader(path: Path) -> None:
    """Its id, code and machine, the hashes of its files, and that all rules hold."""
    data = json.loads(path.read_text())
    counted = [source for source in data["provenance"]["sources"] if source["counted"]]
    points = [point for scenario in data["scenarios"] for arm in scenario["arms"] for point in arm["trials"]]
    assert len(counted) == len(points)
    assert len({source["trial_id"] for source in counted}) == len(counted)
    for source in counted:
        assert source["git_clean"]
        assert source["code"]
        assert source["machine"]
        assert source["versions"]["ray"]
        assert source["files"]["requests.jsonl"]
        assert len(source["rules"]) > 10
        assert all(rule["passed"] for rule in source["rules"])
    latencies = sorted(source["metrics"]["latency_mean_s"] for source in counted)
    assert latencies == pytest.approx(sorted(point["latency_mean_s"] for point in points))


def test_a_figure_that_is_changed_would_be_found(tmp_path: Path) -> None:
    """A page with one other digit has a line that its data do not give."""
    page = Page(STUDIES / "anyscale_vs_oss" / "README.md")
    text = page.path.read_text()
    line = page.rendered()[0]
    assert line in text.splitlines()
    assert "24%" in line
    assert line.replace("24%", "25%") not in page.rendered()


def test_a_figure_in_prose_that_is_changed_would_be_found(tmp_path: Path) -> None:
    source = STUDIES / "anyscale_vs_oss" / "README.md"
    copy = tmp_path / "README.md"
    copy.write_text(source.read_text().replace("a quarter lower", "a third lower"))
    changed = [passage for passage in Page(source).said() if passage not in prose(copy)]
    assert len(changed) == 1
    assert "a quarter lower" in changed[0]
    assert [
        passage for passage in bold_figures(copy) if not any(passage in one for one in Page(source).said())
    ]


def test_digits_of_names_are_no_figures_and_numbers_in_words_are(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(
        "**`fp32` is 1080p of H.264**, **Ray's own 2 ways\nare here**, **ten times as fast**, **with 15**\n"
        "\n```\n**7 of 9 in code**\n```\n| **7 of 9 in a table** |\n"
    )
    assert list(bold_figures(page)) == ["**Ray's own 2 ways are here**", "**ten times as fast**"]
