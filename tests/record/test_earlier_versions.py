"""Records of an earlier schema version are read, judged, compared and held against their ledger."""

import json
import shutil
from pathlib import Path

import pytest

from vbench.analysis import compare_sweep
from vbench.analysis.bottleneck import find_bottleneck, of_record
from vbench.cli.revalidate import main as revalidate
from vbench.record import ledger
from vbench.record.files import TRIAL, read_samples, read_trial
from vbench.record.measurements import read_measurements
from vbench.record.metrics import summarize
from vbench.record.quantiles import supported

VERSION_2 = Path(__file__).parent / "version_2"
"""A ledger and a sweep of two trials, as schema version 2 wrote them; its paths lead nowhere here."""

TRIALS = ("0", "1")


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A copy of the outputs folder with the sweep ``sweeps/s``."""
    return Path(shutil.copytree(VERSION_2, tmp_path / "outputs"))


@pytest.mark.parametrize("name", TRIALS)
def test_a_record_of_version_2_is_read_with_its_version(outputs: Path, name: str) -> None:
    trial = read_trial(outputs / "sweeps" / "s" / name)
    assert trial.schema_version == 2
    assert trial.valid
    assert trial.bottleneck is None
    assert {rule.name for rule in trial.rules if rule.passed} == {rule.name for rule in trial.rules}
    assert len(read_samples(outputs / "sweeps" / "s" / name)) == 4


@pytest.mark.parametrize("name", TRIALS)
def test_its_bottleneck_is_computed(outputs: Path, name: str) -> None:
    folder = outputs / "sweeps" / "s" / name
    trial = read_trial(folder)
    bottleneck = of_record(trial, folder)
    assert bottleneck is not None
    assert bottleneck.busiest.resource == "cores"
    assert bottleneck == find_bottleneck(trial, read_measurements(folder, trial.network))


@pytest.mark.parametrize("name", TRIALS)
def test_its_metrics_come_out_as_they_were_recorded(outputs: Path, name: str) -> None:
    folder = outputs / "sweeps" / "s" / name
    trial = read_trial(folder)
    assert trial.load_report is not None
    again = summarize(trial.clip, read_measurements(folder, None), trial.load_report.post_run_bytes)
    recorded = {
        metric: value
        for metric, value in trial.metrics.items()
        if metric != "harness_s" and supported(metric, trial.metrics["requests"])
    }
    assert len(recorded) > 40
    assert {metric: again[metric] for metric in recorded} == pytest.approx(recorded, rel=1e-12)


def test_its_sweep_is_compared_with_the_numbers_of_its_own_version(outputs: Path) -> None:
    comparison = compare_sweep(outputs / "sweeps" / "s")
    assert comparison is not None
    assert comparison.provenance.faults == ()
    assert comparison.provenance.ledger.startswith("2 begun, 2 counted")
    (row,) = comparison.tables[0].rows
    assert row.improvement is not None
    assert row.improvement.percent == pytest.approx(13.929432065930047, rel=1e-12)
    assert [point.bottleneck is not None for arm in comparison.scenarios[0].arms for point in arm.trials] == [
        True,
        True,
    ]


def test_an_edited_record_of_version_2_is_found(outputs: Path) -> None:
    path = outputs / "sweeps" / "s" / "0" / TRIAL
    data = json.loads(path.read_text())
    data["metrics"]["latency_mean_s"] *= 0.9
    path.write_text(json.dumps(data))
    comparison = compare_sweep(outputs / "sweeps" / "s")
    assert comparison is not None
    faults = " ".join(comparison.provenance.faults)
    assert "latency_mean_s" in faults
    assert "hash" in faults


def test_its_verdict_comes_out_the_same_and_is_noted_in_the_ledger(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert revalidate([str(outputs)]) == 0
    assert capsys.readouterr().out.count("recorded: valid  now: valid") == 2
    lines = (outputs / ledger.LEDGER).read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines[-2:]] == [ledger.JUDGED] * 2
    book = ledger.read(outputs)
    assert book is not None
    assert list(book.faults) == []
