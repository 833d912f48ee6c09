"""A comparison as a page of Markdown: tables, verdicts, where the time went, limits, what was left out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vbench.analysis.latency_breakdown import PARTS
from vbench.analysis.report import formatting
from vbench.analysis.results import Arm, Comparison, Scenario, Table
from vbench.pipeline.spans import KINDS, STAGES
from vbench.record.bottleneck import RESOURCES

METHOD = """\
Improvement is how much lower the candidate's mean latency is, in percent of the baseline's. In each block
every arm ran once, on the same clip and load; the ratio of both mean latencies is taken a block, and the
interval (95%) is a paired t interval on the logarithms of these ratios, n - 1 degrees of freedom, n the
number of blocks. ± is half the 95% interval of an arm's own mean over blocks. docs/statistics.md says
what all of it means, and what it assumes."""

WHERE = """\
Each moment of a request, from when it was due to its answer, counts once: for what was computed or
transferred for it then, in equal parts where several went on; as waiting only where nothing did. The parts
sum to the mean latency. Means over requests and trials, in s."""

SUMMED = """\
The same stages, summed over a request's chunks, which work side by side: these sums can exceed the latency.
Means over requests and trials, in s."""

LIMITS = """\
The time that each resource needs at least for all requests of a trial: FFmpeg and the model at the rates
they had, over their replicas; bytes that had to cross, each once, over the caps of connections and NICs;
CPU seconds used over cores. The largest is the limit and names the bottleneck; limit / measured is the
efficiency. Means over trials."""

USE = """\
\\* Over the intervals between two looks in which the link carried anything worth the name; one in which it
did for a part only counts whole, so short transfers show less than the link gave them."""

REACHED = """\
Objects moved from one node to another, and nothing else. A rate is that of the objects' own bytes while they
moved; the cap is min(connections x cap of one, cap of the NIC), in which headers count too. ± is half the 95%
interval over blocks."""

BESIDE = """\
A trial starts with an empty service and ends with an idle one, which may cost the arms differently. So the
same comparison is made of each half of the requests (by index), of the requests that lie wholly within the
time in which all slots were busy, and of the makespan, from the first request's due time to the last answer.
If these differ from the mean beyond their intervals, the mean depends on how many requests a trial has."""

STABILITY = """\
The interval takes blocks for independent and the difference for constant. What a single block does, and
whether the difference changes with the blocks' running order (permutation tests, each wrong 1 time in 20):"""

RECORDS = """\
`comparison.json` holds each trial's id, code, machine, rules, metrics and file hashes, counted or not."""

HARNESS = """\
Seconds of each part of a trial from the cluster's start to its end; in the last column what the harness
itself takes: all of it but the link check, the warm-up and the measured requests. Making the clip and the
reference pass, which are kept for later trials, is in none. Means over trials."""

NICS = """\
What each node sent and received, of one trial of each arm, against the cap of its link where it has one."""

Pictures = Sequence[tuple[str, str]]
"""File name and caption of each plot beside the page."""


def page(comparison: Comparison, pictures: Pictures, nics: Pictures) -> str:
    """The whole page, with pictures of the whole comparison on top and those of single trials' NICs last."""
    return "\n".join(_lines(comparison, pictures, nics)).rstrip() + "\n"


def _lines(comparison: Comparison, pictures: Pictures, nics: Pictures) -> Iterator[str]:
    yield f"# {_title(comparison)}"
    yield ""
    yield f"From `{comparison.name}`, by `python -m vbench compare`."
    for table in comparison.tables:
        yield from ("", *_table(table))
    yield from ("", METHOD)
    yield from ("", comparison.provenance.ledger)
    if comparison.provenance.faults:
        yield from ("", "**Not what the trials wrote:**", "")
        yield from (f"- {fault}" for fault in comparison.provenance.faults)
    notes = dict.fromkeys([*comparison.notes, *formatting.gaps(comparison), *_wide(comparison)])
    if notes:
        yield ""
        yield from (f"- {note}" for note in notes)
    yield from _beside(comparison)
    yield from _stability(comparison)
    yield from _shown(pictures)
    if comparison.scenarios:
        yield from _details(comparison)
    if nics:
        yield from ("", "## NICs over time", "", NICS)
        yield from _shown(nics)
    yield from ("", "## Left out", "")
    if not comparison.left_out:
        yield "Nothing: every trial that was planned is valid."
    else:
        yield from _rows(("trial", "arm", "block", "why"), "lll")
        for each in comparison.left_out:
            yield _row(Path(each.folder).name, each.arm, each.block, each.reason)
    yield from ("", "## Records", "", RECORDS)
    provenance = comparison.provenance
    if provenance.remarks or provenance.earlier:
        yield ""
        yield from (f"- {line}" for line in (*provenance.earlier, *provenance.remarks))
    if provenance.superseded:
        yield ""
        yield from _rows(("begun and not among the records", "arm", "block", "begun", "status", "now"), "l")
        for lost in provenance.superseded:
            yield _row(*(str(lost[name]) for name in ("trial_id", "arm", "block", "at", "status", "fate")))


def _details(comparison: Comparison) -> Iterator[str]:
    """What is behind the tables: a section a question, a table a scenario."""
    transfers = [each for each in comparison.scenarios if any(arm.reached for arm in each.arms)]
    if transfers:
        yield from ("", "## What connections give", "", REACHED)
        for scenario in transfers:
            yield from ("", *_reached(scenario))
    yield from ("", "## Where the time went", "", WHERE)
    for scenario in comparison.scenarios:
        yield from ("", *_parts(scenario))
    yield from ("", SUMMED)
    for scenario in comparison.scenarios:
        yield from ("", *_sums(scenario))
    yield from ("", "## Beside latency")
    for scenario in comparison.scenarios:
        yield from ("", *_facts(scenario))
    if any(_of_nodes(scenario.arms) for scenario in comparison.scenarios):
        yield from ("", USE)
    yield from ("", "## Limits", "", LIMITS)
    for scenario in comparison.scenarios:
        yield from ("", *_limits(scenario))
    yield from ("", "## What the harness itself takes", "", HARNESS, "", *_harness(comparison))


def _shown(pictures: Pictures) -> Iterator[str]:
    for name, caption in pictures:
        yield from ("", f"![{caption}]({name})", "", f"*{caption}*")


def _title(comparison: Comparison) -> str:
    candidates = dict.fromkeys(table.candidate for table in comparison.tables)
    baselines = dict.fromkeys(table.baseline for table in comparison.tables)
    return f"{', '.join(candidates)} against {', '.join(baselines)}"


def _table(table: Table) -> Iterator[str]:
    yield from _rows(
        (
            "Scenario",
            f"Average latency - {table.candidate}",
            f"Average latency - {table.baseline}",
            "Improvement [95% interval]",
            "n (blocks)",
            "Verdict",
        ),
        "lrrrrl",
    )
    for row in table.rows:
        yield _row(
            row.scenario,
            formatting.seconds(row.candidate),
            formatting.seconds(row.baseline),
            formatting.percent(row.improvement),
            str(row.improvement.blocks if row.improvement else 0),
            formatting.verdict(row.improvement),
        )


def _beside(comparison: Comparison) -> Iterator[str]:
    if not any(row.beside for table in comparison.tables for row in table.rows):
        return
    yield from ("", "## Halves, steady window, makespan", "", BESIDE)
    for table in comparison.tables:
        yield ""
        yield from _rows(
            ("Scenario", "", table.candidate, table.baseline, "Improvement [95% interval]", "n (blocks)"),
            "llrrrr",
        )
        for row in table.rows:
            for each in row.beside:
                yield _row(
                    row.scenario,
                    formatting.NAMES[each.metric],
                    formatting.seconds(each.candidate),
                    formatting.seconds(each.baseline),
                    formatting.percent(each.improvement),
                    str(each.improvement.blocks),
                )


def _stability(comparison: Comparison) -> Iterator[str]:
    lines = [
        f"- {row.scenario}, {table.candidate} against {table.baseline}: {text}."
        for table in comparison.tables
        for row in table.rows
        if (text := formatting.stability(row))
    ]
    if lines:
        yield from ("", "## Does it hang on one block, or drift?", "", STABILITY, "", *lines)


def _wide(comparison: Comparison) -> Iterator[str]:
    for table in comparison.tables:
        for row in table.rows:
            text = formatting.precision(row.improvement)
            if text:
                yield f"{row.scenario}, {table.candidate} against {table.baseline}: {text}."


def _heads(scenario: Scenario) -> list[str]:
    return [f"{arm.name}, n = {len(arm.points)}" for arm in scenario.arms]


def _parts(scenario: Scenario) -> Iterator[str]:
    yield from _rows((scenario.name, *_heads(scenario)), "l" + "r" * len(scenario.arms))
    totals = [sum(arm.part(part) for part in PARTS) for arm in scenario.arms]
    places = 2 if max(totals) >= 10 else 3
    for part in PARTS:
        values = [arm.part(part) for arm in scenario.arms]
        if any(value >= 0.0005 for value in values):
            yield _row(part, *(f"{value:.{places}f}" for value in values))
    yield _row("**sum**", *(f"**{total:.{places}f}**" for total in totals))


def _sums(scenario: Scenario) -> Iterator[str]:
    yield from _rows((scenario.name, *_heads(scenario)), "l" + "r" * len(scenario.arms))
    for stage in STAGES:
        for kind in KINDS:
            values = [arm.metric(f"{stage}_{kind}_s") for arm in scenario.arms]
            if any(value is not None for value in values):
                yield _row(f"{stage} {kind}", *("" if value is None else f"{value:.2f}" for value in values))


def _facts(scenario: Scenario) -> Iterator[str]:
    yield from _rows((scenario.name, *_heads(scenario)), "l" + "r" * len(scenario.arms))
    for name, what, unit in (*formatting.FACTS, *_of_nodes(scenario.arms)):
        values = [arm.metric(name) for arm in scenario.arms]
        if any(value is not None for value in values):
            yield _row(what, *(formatting.number(value, unit) for value in values))


def _of_nodes(arms: Sequence[Arm]) -> list[tuple[str, str, str]]:
    """The use of each node's NIC, as far as it was taken."""
    prefix = "link_use_percent."
    names = dict.fromkeys(name for arm in arms for point in arm.points for name in point.metrics)
    return [
        (name, f"{name.removeprefix(prefix)}: use of its NIC while bytes moved \\*", "%")
        for name in names
        if name.startswith(prefix)
    ]


def _limits(scenario: Scenario) -> Iterator[str]:
    yield from _rows(
        (scenario.name, *RESOURCES, "limit", "needs", "measured", "limit / measured"),
        "l" + "r" * len(RESOURCES) + "lrr",
    )
    for arm in scenario.arms:
        known = formatting.bottlenecks(arm)
        yield _row(
            arm.name, *(formatting.busy(known, name) for name in RESOURCES), *formatting.bottleneck(arm)
        )


def _reached(scenario: Scenario) -> Iterator[str]:
    yield from _rows((scenario.name, "connections", "rate", "cap", "rate / cap", "n (blocks)"), "lr")
    for arm in scenario.arms:
        if arm.reached:
            yield _row(
                arm.name,
                str(arm.reached.connections),
                formatting.with_width(arm.reached.rate_mbps, "Mbit/s"),
                f"{arm.reached.cap_mbps:g} Mbit/s",
                formatting.with_width(arm.reached.share_percent, "%"),
                str(arm.reached.rate_mbps.n),
            )


def _harness(comparison: Comparison) -> Iterator[str]:
    arms = [(scenario.name, arm) for scenario in comparison.scenarios for arm in scenario.arms]
    every = [(f"{what} (s)", [arm.phase(name) for _, arm in arms]) for name, what in formatting.PHASES]
    every.append(("**harness (s)**", [arm.metric(formatting.HARNESS) for _, arm in arms]))
    columns = [(head, values) for head, values in every if any(value is not None for value in values)]
    yield from _rows(("scenario", "arm", "n", *(head for head, _ in columns)), "llr")
    for number, (scenario, arm) in enumerate(arms):
        values = [of_arm[number] for _, of_arm in columns]
        cells = ["" if value is None else f"{value:.1f}" for value in values]
        yield _row(scenario, arm.name, str(len(arm.points)), *cells)


def _rows(heads: Sequence[str], align: str) -> Iterator[str]:
    """Head and ruler of a table; columns beyond ``align`` are aligned as its last is."""
    yield _row(*heads)
    ruler = {"l": "---", "r": "--:"}
    yield "|" + "|".join(ruler[(align + align[-1] * len(heads))[i]] for i in range(len(heads))) + "|"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
