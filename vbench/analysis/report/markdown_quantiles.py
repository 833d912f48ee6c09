"""The section of a comparison's page on quantiles: over blocks, and of each trial with its interval."""

from collections.abc import Iterator, Sequence

from vbench.analysis.report import decision_text, explanations, formatting
from vbench.analysis.report.markdown_table import head, row
from vbench.analysis.results import Comparison, Scenario, Table
from vbench.record.quantiles import PERCENTILES, quantile, requests_needed


def section(comparison: Comparison) -> Iterator[str]:
    """A table per pair of arms, then one per scenario; nothing for a comparison without quantiles."""
    if not any(one.quantiles for table in comparison.tables for one in table.rows):
        return
    yield from ("", "## Quantiles of the latency", "", explanations.QUANTILES)
    for table in comparison.tables:
        yield from ("", *_compared(table, decision_text.confidence_text(comparison.look)))
    for scenario in comparison.scenarios:
        yield from ("", *_of_trials(scenario))


def _compared(table: Table, confidence: str) -> Iterator[str]:
    improvement = f"Improvement [{confidence} interval]"
    yield from head(("Scenario", "", table.candidate, table.baseline, improvement, "n (blocks)"), "llr")
    for one in table.rows:
        for compared in one.quantiles:
            name = compared.metric.split("_")[1]
            if compared.improvement is None:
                needs = (
                    f"needs {compared.requests_needed} requests per trial; the fewest are {compared.requests}"
                )
                yield row(one.scenario, name, "", "", needs, "")
            else:
                yield row(
                    one.scenario,
                    name,
                    formatting.seconds(compared.candidate),
                    formatting.seconds(compared.baseline),
                    formatting.percent(compared.improvement),
                    str(compared.improvement.blocks),
                )


def _of_trials(scenario: Scenario) -> Iterator[str]:
    yield from head((scenario.name, "block", "requests", *PERCENTILES), "lrr")
    for arm in scenario.arms:
        for trial in arm.trials:
            cells = [_cell(trial.latencies_s, percent) for percent in PERCENTILES.values()]
            yield row(arm.name, trial.block, str(len(trial.latencies_s)), *cells)


def _cell(latencies_s: Sequence[float], percent: float) -> str:
    """``3.86 s [3.71, 3.99]``, or how many requests it needs."""
    found = quantile(latencies_s, percent)
    if found is None:
        return f"needs n = {requests_needed(percent)}"
    places = formatting.decimals(found.value)
    return f"{found.value:.{places}f} s [{found.low:.{places}f}, {found.high:.{places}f}]"
