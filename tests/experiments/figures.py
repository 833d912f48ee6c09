"""Recomputes the figures that a page quotes, from the JSON beside it.

Each page under ``experiments/`` has a ``figures.txt``: the lines of its headline tables, with an expression
in double braces for each figure that comes from data. ``says: TEXT`` is a passage of the page's prose, which
is wrapped there. ``let NAME = EXPRESSION`` names a value; ``for NAME in EXPRESSION: LINE`` makes a line for
each item; ``#`` starts a comment. Expressions are Python over what this module offers; paths are relative to
the page's folder.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from vbench.analysis.report import formatting, screening_text
from vbench.analysis.statistics import improvement
from vbench.record.quantiles import percentile

ROOT = Path(__file__).resolve().parents[2]
FIGURES = "figures.txt"
SAYS = "says: "

WORDS = (
    *("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen"),
)
SHARES = {"a fifth": 20, "a quarter": 25, "a third": 100 / 3, "half": 50}
"""Words for percentages."""

BOLD = re.compile(r"\*\*(.+?)\*\*")
FIGURE = re.compile(
    rf"(?<![\w.-])\d[\d.,]*(?!\w)|\b(?:{'|'.join(WORDS[1:])}|quarter|third|half)\b", re.IGNORECASE
)
"""A number or a word for one; the digits of a name such as ``fp32``, ``1080p`` or ``H.264`` are none."""

INTERVAL = re.compile(r"-?[\d.]+% \[-?[\d.]+%, -?[\d.]+%\]")

Data = Mapping[str, Any]


class Page:
    """A page and the data beside it."""

    def __init__(self, path: Path) -> None:
        """``path``: of the Markdown file."""
        self.path = path
        self.folder = path.parent if path.parent != ROOT else ROOT / "experiments"

    def rendered(self) -> list[str]:
        """The lines of ``figures.txt`` that are lines of the page, with their figures computed."""
        return [line for line in self._lines() if not line.startswith(SAYS)]

    def said(self) -> list[str]:
        """The passages of ``figures.txt`` that are in the page's prose, with their figures computed."""
        return [line.removeprefix(SAYS) for line in self._lines() if line.startswith(SAYS)]

    def _lines(self) -> list[str]:
        names: dict[str, Any] = {
            "load": self._load,
            "row": self._row,
            "arm": self._arm,
            "half": self._half,
            "gain": self._gain,
            "cand": lambda row: formatting.seconds(SimpleNamespace(**row["candidate"])),  # type: ignore[arg-type]
            "base": lambda row: formatting.seconds(SimpleNamespace(**row["baseline"])),  # type: ignore[arg-type]
            "imp": lambda row: formatting.percent(SimpleNamespace(**row["improvement"])),  # type: ignore[arg-type]
            "n": lambda row: str(row["improvement"]["blocks"]),
            "mean": lambda arm: formatting.seconds(SimpleNamespace(**arm["latency"])),  # type: ignore[arg-type]
            "average": average,
            "percentile": percentile,
            "span": span,
            "word": word,
            "roughly": roughly,
            "increase": increase,
            "verdict": lambda row: row["improvement"]["verdict"],
            "change": lambda effect: screening_text.change(SimpleNamespace(**effect)),  # type: ignore[arg-type]
            "holm_p": lambda effect: screening_text.p_text(SimpleNamespace(**effect)),  # type: ignore[arg-type]
        }
        source = self.path.with_name(FIGURES) if self.path.parent != ROOT else ROOT / "experiments" / FIGURES
        lines = []
        for line in source.read_text().splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            if match := re.fullmatch(r"let (\w+) = (.+)", line):
                names[match[1]] = eval(match[2], names)
            elif match := re.fullmatch(r"for (\w+) in (.+?): (.+)", line):
                for item in eval(match[2], names):
                    names[match[1]] = item
                    lines.append(filled(match[3], names))
            else:
                lines.append(filled(line, names))
        return lines

    def _load(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def _row(self, name: str, scenario: str, candidate: str, baseline: str) -> Any:
        """The row of a comparison's table whose names hold these words."""
        (found,) = [
            row
            for table in self._load(name)["tables"]
            for row in table["rows"]
            if has(table["candidate"], candidate)
            and has(table["baseline"], baseline)
            and scenario in row["scenario"]
        ]
        return found

    def _arm(self, name: str, scenario: str, arm: str) -> Any:
        (found,) = [
            each
            for one in self._load(name)["scenarios"]
            for each in one["arms"]
            if scenario in one["name"] and has(each["name"], arm)
        ]
        return found

    def _half(self, name: str, scenario: str, candidate: str, baseline: str, number: int) -> str:
        """The improvement of the first (1) or second (2) half of the requests, from their latencies."""

        def mean(point: Data) -> float:
            values = point["latencies_s"]
            half = values[: len(values) // 2] if number == 1 else values[len(values) // 2 :]
            return float(sum(half) / len(half))

        return self._paired(name, scenario, candidate, baseline, mean)

    def _gain(self, name: str, scenario: str, candidate: str, baseline: str, metric: str) -> str:
        """The improvement of a metric of the trials."""
        return self._paired(name, scenario, candidate, baseline, lambda point: point["metrics"][metric])

    def _paired(
        self, name: str, scenario: str, candidate: str, baseline: str, value: Callable[[Data], float]
    ) -> str:
        """The improvement of what each trial's data give, paired by blocks."""
        base, cand = (
            {point["block"]: value(point) for point in self._arm(name, scenario, which)["trials"]}
            for which in (baseline, candidate)
        )
        common = [block for block in base if block in cand]
        return formatting.percent(
            improvement([base[block] for block in common], [cand[block] for block in common])
        )


def has(name: str, words: str) -> bool:
    """Whether an arm's name holds these words; ``1 connection`` is not in ``OSS (11 connections)``."""
    return re.search(rf"(?<!\d){re.escape(words)}", name) is not None


def filled(line: str, names: dict[str, Any]) -> str:
    """A line with its expressions evaluated."""
    return re.sub(r"\{\{(.+?)\}\}", lambda match: str(eval(match[1], names)), line)


def increase(row: Data) -> str:
    """How much higher the candidate's latency is, with its interval: the improvement with the other sign."""
    of = row["improvement"]
    return formatting.percent(
        SimpleNamespace(  # type: ignore[arg-type]
            percent=-of["percent"], low_percent=-of["high_percent"], high_percent=-of["low_percent"]
        )
    )


def average(arm: Data, metric: str) -> float:
    """Of an arm's trials."""
    values = [point["metrics"][metric] for point in arm["trials"]]
    return float(sum(values) / len(values))


def span(values: Sequence[float], form: str) -> str:
    """``1.00 to 1.07``, or one number if both round to the same."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def word(number: float) -> str:
    """A small number in words."""
    return WORDS[int(number)]


def roughly(percents: Sequence[float]) -> str:
    """The share in words that is nearest to all of these percentages."""
    (name,) = {min(SHARES, key=lambda share: abs(SHARES[share] - percent)) for percent in percents}
    return name


def prose(path: Path) -> str:
    """A page's text without its tables and code blocks, each run of white space as one space."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    return " ".join(" ".join(line for line in text.splitlines() if not line.startswith("|")).split())


def bold_figures(path: Path) -> Iterator[str]:
    """The passages in bold of a page's prose that hold a figure. One or two words, as in **15** or **two
    connections**, name something."""
    for match in BOLD.finditer(prose(path)):
        if FIGURE.search(match[1]) and len(match[1].split()) > 2:
            yield match[0]


def headline_lines(path: Path) -> Iterator[str]:
    """The rows with digits of the tables under a page's ``## Answer``; of the README those of results."""
    is_readme = path.parent == ROOT
    inside = is_readme
    lines = path.read_text().splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("## ") and not is_readme:
            inside = line.startswith("## Answer")
        is_row = line.startswith("|") and not _is_ruler(line) and not _is_ruler(after)
        is_result = not is_readme or " inference |" in line
        if inside and is_row and is_result and re.search(r"\d", line.split("|", 2)[2]):
            yield line


def _is_ruler(line: str) -> bool:
    return line.startswith("|") and set(line) <= set("|-: ")
