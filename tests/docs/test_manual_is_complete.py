"""The manual names every rule, every metric, every span and every study, and nothing that does not exist."""

import ast
import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import vbench.pipeline.spans
from vbench.validity.catalog import SECTIONS, rules_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]

STANDS_FOR = {"NODE": r"[\w-]+", "ROLE": r"\w+", "NAME": r"[\w/ -]+"}
"""Words of the metrics page that stand for a part of a name."""


def rows(page: str) -> Iterator[list[str]]:
    """The cells of every row of every table of a page of the manual."""
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith("|") and not set(line) <= set("|-: "):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


DEFINITIONS = [rule for section in SECTIONS.values() for rule in rules_of(section)]


def test_every_rule_is_explained_once() -> None:
    explained = [cells[0].strip("*") for cells in rows("validity.md") if cells[0].startswith("*")]
    assert len(explained) > 45
    assert explained == [rule.name for rule in DEFINITIONS]
    assert len(set(explained)) == len(explained)


def test_every_verdict_is_of_a_rule_in_the_catalog_and_every_rule_there_is_judged() -> None:
    names = {id(rule): name for section in SECTIONS.values() for name, rule in vars(section).items()}
    judged: set[str] = set()
    for file in (ROOT / "vbench/validity").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Name):
                judged.add(node.id)
            if isinstance(node, ast.Call) and file.name != "definition.py":
                assert getattr(node.func, "id", "") not in ("Rule", "RuleDefinition"), file
    assert {names[id(rule)] for rule in DEFINITIONS} - judged == set()


def test_every_rule_has_a_meaning_and_a_remedy() -> None:
    for cells in rows("validity.md"):
        assert len(cells) == 3
        assert all(cells), cells


def test_every_rule_that_a_trial_has_been_judged_by_is_explained() -> None:
    explained = {cells[0].strip("*") for cells in rows("validity.md")}
    judged = {
        rule["name"]
        for path in (ROOT / "experiments").rglob("comparison.json")
        for source in json.loads(path.read_text())["provenance"]["sources"]
        for rule in source.get("rules", [])
    }
    assert len(judged) > 30
    assert judged <= explained


def test_rules_that_the_page_of_threats_names_exist() -> None:
    text = re.sub(r"`[^`]*`", "", (DOCS / "threats.md").read_text())
    named = {" ".join(name.split()) for name in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", text)}
    assert len(named) > 30
    assert named - {rule.name for rule in DEFINITIONS} == set()


def documented_metrics() -> list[re.Pattern[str]]:
    names = [name for cells in rows("metrics.md") for name in re.findall(r"`([^`]+)`", cells[0])]
    return [re.compile(re.sub("|".join(STANDS_FOR), lambda m: STANDS_FOR[m[0]], re.escape(n))) for n in names]


def measured_metrics() -> set[str]:
    """Names in the committed results of whole trials."""
    return {
        name
        for path in (ROOT / "experiments").rglob("comparison.json")
        for source in json.loads(path.read_text())["provenance"]["sources"]
        for name in source.get("metrics", {})
    }


def literal_metrics() -> set[str]:
    """Names that the code spells out as keys of a dictionary of metrics."""
    files = ("metrics.py", "steady_window.py", "link_fidelity.py")
    return {
        key.value
        for file in files
        for node in ast.walk(ast.parse((ROOT / "vbench/record" / file).read_text()))
        for key in [
            *(node.keys if isinstance(node, ast.Dict) else ()),
            *((node.slice,) if isinstance(node, ast.Subscript) else ()),
        ]
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value != "requests"
    }


@pytest.mark.parametrize("names", [measured_metrics(), literal_metrics()], ids=["measured", "in the code"])
def test_every_metric_is_explained(names: set[str]) -> None:
    assert len(names) > 25
    patterns = documented_metrics()
    assert {name for name in names if not any(p.fullmatch(name) for p in patterns)} == set()


def test_every_metric_has_its_formula_and_its_name_its_unit() -> None:
    of_units = {
        "s": "_s",
        "ms": "_ms",
        "%": "percent",
        "MB": "_mb",
        "Mbit/s": "_mbps",
        "J": "_j_",
        "MHz": "_mhz",
    }
    for cells in rows("metrics.md"):
        assert len(cells) == 3
        assert cells[2], cells
        if cells[1] in of_units:
            for name in re.findall(r"`([^`]+)`", cells[0]):
                assert of_units[cells[1]] in name, name


def test_every_span_is_in_the_record_format() -> None:
    table = vbench.pipeline.spans.__doc__ or ""
    spans = re.findall(r"^(chunk|decode|infer) +(queue|transfer|compute) +(None|i) ", table, re.MULTILINE)
    assert len(spans) > 10
    listed = [tuple(cells[:3]) for cells in rows("record-format.md") if len(cells) == 4]
    assert [(stage, kind, "null" if c == "None" else c) for stage, kind, c in spans] == listed[1:]


def test_every_study_is_among_the_results() -> None:
    text = (DOCS / "results.md").read_text()
    for page in sorted((ROOT / "experiments").glob("*/README.md")):
        assert f"(../experiments/{page.parent.name}/README.md)" in text


def test_figures_among_the_results_are_those_of_their_pages() -> None:
    for cells in rows("results.md"):
        if match := re.search(r"\((.+?)\)", cells[0]):
            page = (DOCS / match[1]).read_text()
            for figure in re.findall(r"\d[\d.]*", cells[2]):
                assert re.search(rf"(?<![\d.]){re.escape(figure.rstrip('.'))}(?![\d])", page), (
                    cells[0],
                    figure,
                )


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(each for extra in extras for each in extra)]
    text = (DOCS / "dependencies.md").read_text()
    names = {re.split(r"[\[=]", each)[0] for each in wanted}
    assert {name for name in names if f"`{name}" not in text and not name.startswith("types-")} == set()


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current() -> None:
    for name, text in generator().pages().items():
        assert (DOCS / name).read_text() == text, f"docs/{name} is stale: run python docs/generate.py"


def test_the_configuration_page_has_every_field_of_the_schema() -> None:
    from vbench.cli.help import fields

    text = (DOCS / "configuration.md").read_text()
    for key, _ in fields():
        group = not key.count(".") and (ROOT / "conf" / key).is_dir()
        assert f"`{key}`" in text or group, key


def test_layers_are_those_that_are_checked() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    layers = tools["importlinter"]["contracts"][0]["layers"]
    listed = [
        match[1] for cells in rows("architecture.md") if (match := re.fullmatch(r"`(\w+)(/|\.py)`", cells[0]))
    ]
    assert listed == layers


NAMED = re.compile(r"`((?:vbench|tests|conf|docs|docker|experiments|examples)/[\w./-]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    for name in NAMED.findall(page.read_text()):
        assert "NAME" in name or "TIME" in name or (ROOT / name).exists(), name


def test_the_readme_has_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 140


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
