"""A sweep that screens settings becomes their effects: what counts, what is aliased, what is refused."""

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support import sweeps
from vbench.analysis import PAGE, comparison_file, show, write
from vbench.analysis.comparison import compare
from vbench.analysis.report import plot_effects
from vbench.analysis.results import Comparison
from vbench.analysis.screening_results import MetricEffects, Screening
from vbench.analysis.trials import read_sweep
from vbench.cli.compare import main
from vbench.errors import ChangedRecordError, ConfigError
from vbench.record.files import SWEEP, TRIAL, RecordError

FACTORS = {
    "runtime": ["oss", "anyscale"],
    "mode": ["chunked", "combined"],
    "pipeline.window": ["2", "4"],
    "load.concurrency": ["4", "8"],
}
NOISE = (0.002, -0.001, -0.001)


def latency(settings: Mapping[str, str], block: int) -> float:
    """The runtime makes it 20% lower, combined inference 10% higher, both together 5% higher still; every
    block is slower than the one before."""
    faster = settings["runtime"] == "anyscale"
    combined = settings["mode"] == "combined"
    noise = NOISE[(block + 2 * faster + combined) % 3]
    return 5 * (1 + block) * 0.8**faster * 1.1**combined * 1.05 ** (faster and combined) * math.exp(noise)


def compared(folder: Path) -> Comparison:
    comparison = compare(read_sweep(folder))
    assert comparison is not None
    return comparison


def screening_of(comparison: Comparison) -> Screening:
    assert comparison.screening is not None
    return comparison.screening


def changes(metric: MetricEffects) -> dict[str, float]:
    return {one.key: one.effect.change_percent for one in metric.settings if one.effect is not None}


def verdicts(metric: MetricEffects) -> dict[str, str]:
    return {one.key: one.effect.direction for one in metric.settings if one.effect is not None}


@pytest.fixture(scope="module")
def fraction(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fraction")
    return sweeps.write_sweep(folder, FACTORS, 3, latency, design="fractional")


@pytest.fixture(scope="module")
def one_way(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("oneway")
    return sweeps.write_sweep(
        folder,
        {**FACTORS, "pipeline.window": ["2", "4", "8"]},
        3,
        latency,
        design="oneway",
        valid=lambda s, b: not (s["load.concurrency"] == "8" and b == 1),
        rules=lambda s, b: sweeps.broken_rule() if s["load.concurrency"] == "8" and b == 1 else [],
    )


def test_each_setting_and_each_string_of_interactions_has_its_effect(fraction: Path) -> None:
    screening = screening_of(compared(fraction))
    assert (screening.runs, screening.blocks, screening.dropped) == (8, ("1", "2", "3"), ())
    times, rate = screening.metrics
    together = math.sqrt(1.05)
    assert changes(times) == pytest.approx(
        {
            "runtime": 100 * (0.8 * together - 1),
            "mode": 100 * (1.1 * together - 1),
            "pipeline.window": 0,
            "load.concurrency": 0,
        },
        abs=0.3,
    )
    assert verdicts(times) == {
        "runtime": "lower",
        "mode": "higher",
        "pipeline.window": "inconclusive",
        "load.concurrency": "inconclusive",
    }
    assert [one.letter for one in times.settings] == ["A", "B", "C", "D"]
    strings = {one.pairs: one.effect for one in times.interactions}
    assert list(strings) == [("AB", "CD"), ("AC", "BD"), ("AD", "BC")]
    assert strings["AB", "CD"].change_percent == pytest.approx(5, abs=0.5)
    assert [effect.direction for effect in strings.values()] == ["higher", "inconclusive", "inconclusive"]
    assert rate.metric == "throughput_requests_per_s"
    assert len(rate.settings) == 4
    assert changes(rate)["runtime"] > 0
    for one in times.settings:
        assert one.effect is not None
        assert one.effect.low_percent is not None
        assert one.effect.high_percent is not None
        assert one.effect.low_percent < one.effect.change_percent < one.effect.high_percent


def test_the_answer_is_on_the_terminal_on_the_page_and_in_the_data(fraction: Path, tmp_path: Path) -> None:
    comparison = compared(fraction)
    out = io.StringIO()
    show(Console(file=out, width=150), comparison)
    assert out.getvalue().count("A×B + C×D") == 1
    files = write(comparison, tmp_path)
    assert {path.name for path in files} == {
        PAGE,
        comparison_file.DATA,
        "effects.png",
        "latency.png",
        "stages.png",
    }
    page = (tmp_path / PAGE).read_text()
    for text in (out.getvalue(), page):
        assert "2 of 4 settings matter: runtime oss → anyscale (-18%" in text
        assert "The others are inconclusive: each may still change the latency, by up to" in text
        assert "design=fractional: 4 settings in 8 of 16 combinations, resolution IV" in text
        assert "A×B + C×D" in text
        assert "Interactions joined by + are aliased: these runs show the sum of their effects, not" in text
        assert "Holm's correction is over 4 settings." in text
    assert "| A | runtime | oss → anyscale | -18% [-18%, -18%] | <0.001 | 3 | faster |" in page
    assert "Generators: D = ABC. Defining relation: I = ABCD." in page
    assert "Settings by letter: A = runtime, B = mode, C = pipeline.window, D = load.concurrency." in page
    assert "![Change in mean latency by each setting](effects.png)" in page
    assert comparison_file.read(tmp_path).screening == comparison.screening
    assert comparison.metrics["change_percent/latency_mean_s/runtime: oss to anyscale"] == pytest.approx(
        -18, abs=0.2
    )
    assert main([str(tmp_path), "--render"]) == 0
    assert (tmp_path / PAGE).read_text() == page


def test_the_plot_has_every_effect_within_its_axes(fraction: Path) -> None:
    figure = plot_effects.draw(screening_of(compared(fraction)))
    assert figure is not None
    above, below = figure.axes
    assert [label.get_text().split("\n")[0] for label in above.get_yticklabels()][:2] == [
        "A runtime",
        "B mode",
    ]
    assert len(below.get_yticklabels()) == 3
    low, high = above.get_xlim()
    for axes in figure.axes:
        values = [value for line in axes.lines for value in line.get_xdata()]
        assert low <= min(values) <= max(values) <= high


def test_one_key_at_a_time_is_compared_with_the_baseline(one_way: Path) -> None:
    comparison = compared(one_way)
    screening = screening_of(comparison)
    times, _ = screening.metrics
    assert [(one.key, one.baseline, one.value) for one in times.settings] == [
        ("runtime", "oss", "anyscale"),
        ("mode", "chunked", "combined"),
        ("pipeline.window", "2", "4"),
        ("pipeline.window", "2", "8"),
        ("load.concurrency", "4", "8"),
    ]
    assert verdicts(times)["runtime"] == "lower"
    runtime, *_, concurrency = times.settings
    assert runtime.effect is not None
    assert runtime.effect.change_percent == pytest.approx(-20, abs=0.3)
    assert runtime.effect.p is not None
    assert runtime.effect.holm_p == pytest.approx(5 * runtime.effect.p)
    assert concurrency.effect is not None
    assert concurrency.effect.blocks == 2
    (row,) = comparison.tables[-1].rows
    assert (comparison.tables[-1].candidate, comparison.tables[-1].baseline) == (
        "load.concurrency=8",
        "baseline",
    )
    assert row.uncounted == ("block 2: no valid trial of load.concurrency=8",)
    first = comparison.tables[0].rows[0].improvement
    assert first is not None
    assert first.percent == pytest.approx(-runtime.effect.change_percent)
    assert first.high_percent == pytest.approx(-(runtime.effect.low_percent or 0))


def test_arms_that_are_named_are_compared_as_in_any_sweep(one_way: Path, tmp_path: Path) -> None:
    arms = ["--baseline", "mode=chunked", "--candidate", "mode=combined", "--out", str(tmp_path)]
    assert main([str(one_way), *arms]) == 0
    assert json.loads((tmp_path / comparison_file.DATA).read_text())["screening"] is None


def break_trials(folder: Path, *names: str) -> None:
    for name in names:
        trial = json.loads((folder / name / TRIAL).read_text())
        trial |= {"valid": False, "error": "it broke"}
        (folder / name / TRIAL).write_text(json.dumps(trial))


def small(folder: Path, blocks: int, **changes: Any) -> Path:
    """Four arms of two settings."""
    factors = {key: FACTORS[key] for key in ("runtime", "mode")}
    return sweeps.write_sweep(folder, factors, blocks, latency, design="fractional", **changes)


def test_a_block_with_an_invalid_trial_is_dropped_and_named(tmp_path: Path) -> None:
    break_trials(small(tmp_path, 3), "5")
    screening = screening_of(compared(tmp_path))
    assert screening.blocks == ("1", "3")
    assert screening.dropped == ("block 2 has no valid trial of A",)
    effect = screening.metrics[0].settings[0].effect
    assert effect is not None
    assert effect.blocks == 2
    assert (
        "Not counted: block 2 has no valid trial of A"
        in write(compared(tmp_path), tmp_path / "out")[0].read_text()
    )


def test_fewer_than_two_whole_blocks_are_refused_with_what_they_lack(tmp_path: Path) -> None:
    folder = small(tmp_path, 3)
    break_trials(folder, "5", "8")
    with pytest.raises(
        ConfigError, match=r"effects need two whole blocks, and this sweep has 1 of 3 \(block 2 "
    ):
        compared(folder)
    (folder / "9" / TRIAL).unlink()
    with pytest.raises(
        ConfigError, match=r"block 3 has no valid trial of baseline, A\): finish it with .*resume="
    ):
        compared(folder)


def test_changed_records_come_before_blocks_that_lack_them(tmp_path: Path) -> None:
    folder = small(tmp_path, 2)
    trial = json.loads((folder / "4" / TRIAL).read_text())
    trial["metrics"]["latency_mean_s"] /= 2
    (folder / "4" / TRIAL).write_text(json.dumps(trial))
    with pytest.raises(ChangedRecordError, match="effects need two whole blocks"):
        compared(folder)


def test_one_block_that_was_asked_for_has_no_verdict(tmp_path: Path) -> None:
    comparison = compared(small(tmp_path, 1))
    screening = screening_of(comparison)
    assert {one.direction for one in [s.effect for s in screening.metrics[0].settings] if one} == {
        "one block: no interval"
    }
    assert any("One block: no confidence interval" in note for note in comparison.notes)
    assert "None of 2 settings is shown to matter." in write(comparison, tmp_path / "out")[0].read_text()


def test_all_combinations_alias_nothing(tmp_path: Path) -> None:
    page = write(compared(small(tmp_path, 2)), tmp_path / "out")[0].read_text()
    assert "design=fractional: 2 settings, all 4 combinations" in page
    assert "All combinations were run, so nothing is aliased." in page
    comparison = compare(read_sweep(tmp_path), wanted_points=0.1)
    assert comparison is not None
    page = write(comparison, tmp_path / "out")[0].read_text()
    assert "For ±0.1 points, run a new sweep with blocks=" in page


def test_a_setting_whose_effect_changes_over_the_blocks_is_named(tmp_path: Path) -> None:
    def wandering(settings: Mapping[str, str], block: int) -> float:
        faster = settings["runtime"] == "anyscale"
        return latency(settings, block) * (1.5 if faster and block % 2 else 1.0)

    factors = {key: FACTORS[key] for key in ("runtime", "mode")}
    folder = sweeps.write_sweep(tmp_path, factors, 4, wandering, design="fractional")
    (note,) = [note for note in compared(folder).notes if "changes from block to block" in note]
    assert note.startswith("The effect of runtime changes from block to block more than the other effects do")


def test_trials_that_differ_in_more_than_the_settings_are_refused(tmp_path: Path) -> None:
    folder = small(tmp_path, 2)
    trial = json.loads((folder / "4" / TRIAL).read_text())
    trial["config"]["load"]["requests"] = 9
    (folder / "4" / TRIAL).write_text(json.dumps(trial))
    with pytest.raises(ConfigError, match=r"trials of baseline differ in load\.requests"):
        compared(folder)


@pytest.mark.parametrize("gate", ["--fail-on-regression", "--require-non-inferior"])
def test_a_gate_needs_two_arms(fraction: Path, capsys: pytest.CaptureFixture[str], gate: str) -> None:
    assert main([str(fraction), gate, "5"]) == 2
    assert f"{gate} judges a candidate against a baseline, and design=fractional has none" in (
        capsys.readouterr().err
    )


def test_a_damaged_design_is_no_plan(tmp_path: Path) -> None:
    folder = small(tmp_path, 2)
    plan = json.loads((folder / SWEEP).read_text())
    plan["design"]["factors"] = 7
    (folder / SWEEP).write_text(json.dumps(plan))
    with pytest.raises(RecordError, match="is not the plan of a sweep"):
        compared(folder)
