"""The sections of a comparison's page that show what is behind its first tables."""

from collections.abc import Iterator, Sequence

from vbench.analysis.latency_breakdown import PARTS
from vbench.analysis.report import explanations, formatting
from vbench.analysis.report.markdown_table import head, row
from vbench.analysis.results import Arm, Comparison, Scenario
from vbench.pipeline.spans import KINDS, STAGES
from vbench.record.bottleneck import RESOURCES
from vbench.record.deployment_times import BUSY, COLUMNS, deployments_in

NIC_METRIC = "link_use_percent."


def details(comparison: Comparison) -> Iterator[str]:
    """One section per question, one table per scenario."""
    transfers = [
        scenario for scenario in comparison.scenarios if any(arm.transfer_rate for arm in scenario.arms)
    ]
    if transfers:
        yield from ("", "## Transfer rate by connections", "", explanations.TRANSFER_RATE)
        for scenario in transfers:
            yield from ("", *_transfer_rates(scenario))
    yield from ("", "## Where the time went")
    staged = [scenario for scenario in comparison.scenarios if scenario.has_stages]
    if staged:
        yield from ("", explanations.BREAKDOWN)
        for scenario in staged:
            yield from ("", *_breakdown(scenario))
        yield from ("", explanations.STAGE_SUMS)
        for scenario in staged:
            yield from ("", *_stage_sums(scenario))
    if any(_deployments(scenario) for scenario in comparison.scenarios):
        yield from ("", explanations.DEPLOYMENTS)
        for scenario in comparison.scenarios:
            yield from ("", *_deployment_times(scenario, _deployments(scenario)))
    yield from ("", "## Other metrics")
    for scenario in comparison.scenarios:
        yield from ("", *_facts(scenario))
    if any(_of_nodes(scenario.arms) for scenario in comparison.scenarios):
        yield from ("", explanations.NIC_USE)
    yield from ("", "## Bottlenecks", "", explanations.BOTTLENECKS)
    for scenario in comparison.scenarios:
        yield from ("", *_bottlenecks(scenario))
    yield from ("", "## Time taken by the harness", "", explanations.HARNESS, "", *_harness(comparison))


def _arms(scenario: Scenario) -> list[str]:
    return [f"{arm.name}, n = {len(arm.trials)}" for arm in scenario.arms]


def _numbers(scenario: Scenario) -> str:
    """Alignment of a table with a column of numbers per arm."""
    return "l" + "r" * len(scenario.arms)


def _breakdown(scenario: Scenario) -> Iterator[str]:
    yield from head((scenario.name, *_arms(scenario)), _numbers(scenario))
    totals = [sum(arm.part(part) for part in PARTS) for arm in scenario.arms]
    places = 2 if max(totals) >= 10 else 3
    for part in PARTS:
        values = [arm.part(part) for arm in scenario.arms]
        if any(value >= 0.0005 for value in values):
            yield row(part, *(f"{value:.{places}f}" for value in values))
    yield row("**sum**", *(f"**{total:.{places}f}**" for total in totals))


def _stage_sums(scenario: Scenario) -> Iterator[str]:
    yield from head((scenario.name, *_arms(scenario)), _numbers(scenario))
    for stage in STAGES:
        for kind in KINDS:
            values = [arm.metric(f"{stage}_{kind}_s") for arm in scenario.arms]
            if any(value is not None for value in values):
                yield row(f"{stage} {kind}", *("" if value is None else f"{value:.2f}" for value in values))


def _deployments(scenario: Scenario) -> list[str]:
    """The application's deployments whose calls were timed in all trials of an arm."""
    names = dict.fromkeys(
        name for arm in scenario.arms for trial in arm.trials for name in deployments_in(trial.metrics)
    )
    return list(names)


def _deployment_times(scenario: Scenario, deployments: Sequence[str]) -> Iterator[str]:
    yield from head((scenario.name, *_arms(scenario)), _numbers(scenario))
    for deployment in deployments:
        for column, start in COLUMNS.items():
            values = [arm.metric(f"{start}{deployment}") for arm in scenario.arms]
            if any(value is not None for value in values):
                cells = ("" if value is None else f"{value:.4f}" for value in values)
                yield row(f"{deployment} {column}", *cells)
        shares = [arm.metric(f"{BUSY}{deployment}") for arm in scenario.arms]
        yield row(f"{deployment} busy", *(formatting.number(value, "%") for value in shares))


def _facts(scenario: Scenario) -> Iterator[str]:
    yield from head((scenario.name, *_arms(scenario)), _numbers(scenario))
    for name, what, unit in (*formatting.FACTS, *_of_nodes(scenario.arms)):
        values = [arm.metric(name) for arm in scenario.arms]
        if any(value is not None for value in values):
            yield row(what, *(formatting.number(value, unit) for value in values))


def _of_nodes(arms: Sequence[Arm]) -> list[tuple[str, str, str]]:
    """The utilisation of each node's NIC, as far as it was measured: metric, what it is, unit."""
    names = dict.fromkeys(name for arm in arms for trial in arm.trials for name in trial.metrics)
    return [
        (name, f"{name.removeprefix(NIC_METRIC)}: NIC utilisation while bytes moved \\*", "%")
        for name in names
        if name.startswith(NIC_METRIC)
    ]


def _bottlenecks(scenario: Scenario) -> Iterator[str]:
    resources = [name for name in RESOURCES if name != "replicas" or _deployments(scenario)]
    yield from head(
        (scenario.name, *resources, "bottleneck", "busy", "measured", "utilisation"),
        "l" + "r" * len(resources) + "lrr",
    )
    for arm in scenario.arms:
        known = formatting.bottlenecks(arm)
        yield row(
            arm.name, *(formatting.busy(known, name) for name in resources), *formatting.bottleneck(arm)
        )


def _transfer_rates(scenario: Scenario) -> Iterator[str]:
    yield from head((scenario.name, "connections", "rate", "cap", "rate / cap", "n (blocks)"), "lr")
    for arm in scenario.arms:
        if arm.transfer_rate:
            yield row(
                arm.name,
                str(arm.transfer_rate.connections),
                formatting.with_width(arm.transfer_rate.rate_mbps, "Mbit/s"),
                f"{arm.transfer_rate.cap_mbps:g} Mbit/s",
                formatting.with_width(arm.transfer_rate.share_percent, "%"),
                str(arm.transfer_rate.rate_mbps.n),
            )


def _harness(comparison: Comparison) -> Iterator[str]:
    arms = [(scenario.name, arm) for scenario in comparison.scenarios for arm in scenario.arms]
    every = [(f"{what} (s)", [arm.phase(name) for _, arm in arms]) for name, what in formatting.PHASES]
    every.append(("**harness (s)**", [arm.metric(formatting.HARNESS) for _, arm in arms]))
    columns = [(name, values) for name, values in every if any(value is not None for value in values)]
    yield from head(("scenario", "arm", "n", *(name for name, _ in columns)), "llr")
    for number, (scenario, arm) in enumerate(arms):
        values = [of_arm[number] for _, of_arm in columns]
        cells = ["" if value is None else f"{value:.1f}" for value in values]
        yield row(scenario, arm.name, str(len(arm.trials)), *cells)
