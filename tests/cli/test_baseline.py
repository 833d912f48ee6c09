"""Sweeps that are kept under a name: saved once, compared arm by arm without pairs, listed as a history."""

import csv
import json
import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_ind

from tests.analysis import ledgered
from tests.support import sweeps
from vbench.analysis import PAGE, comparison_file
from vbench.analysis.decisions import unpaired
from vbench.analysis.report.pull_request import MARK
from vbench.cli import baseline, compare
from vbench.record import baselines

NOISE = (0.010, -0.010, 0.004, -0.004, 0.006)
BLOCKS = len(NOISE)


def sweep(folder: Path, times: float, **settings: list[str]) -> Path:
    """A sweep of both runtimes in five blocks; ``times``: anyscale's latency over 5 s."""

    def latency(of: Mapping[str, str], block: int) -> float:
        return 5 * math.exp(NOISE[block]) * (times if of["runtime"] == "anyscale" else 1.0)

    return sweeps.write_sweep(folder, {"runtime": ["oss", "anyscale"], **settings}, BLOCKS, latency)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outputs folder with the baseline ``main``, and the sweeps ``same`` and ``slower``."""
    outputs = tmp_path_factory.mktemp("outputs")
    for name, times in (("old", 0.8), ("same", 0.8), ("slower", 0.96)):
        sweep(outputs / "sweeps" / name, times)
    assert baseline.main(["save", "main", str(outputs / "sweeps" / "old"), "--outputs", str(outputs)]) == 0
    return outputs


def compared(outputs: Path, name: str, *options: str) -> int:
    given = [str(outputs / "sweeps" / name), "--baseline", "main", "--outputs", str(outputs), *options]
    return compare.main(given)


def test_records_are_copied_byte_by_byte_and_listed(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (entry,) = baselines.history(outputs, "main")
    assert entry.folder.name.startswith("old-")
    for file in ("sweep.json", "0/trial.json", "9/requests.jsonl"):
        assert (entry.folder / file).read_bytes() == (outputs / "sweeps" / "old" / file).read_bytes()
    assert baseline.main(["list", "--outputs", str(outputs)]) == 0
    printed = capsys.readouterr().out
    assert "main" in printed
    assert "old" in printed
    assert "10" in printed


def test_a_sweep_like_its_baseline_is_equivalent_arm_by_arm(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(outputs, "same", "--fail-on-regression", "5") == 0
    page = (outputs / "sweeps" / "same" / "compare-main" / PAGE).read_text()
    data = json.loads((outputs / "sweeps" / "same" / "compare-main" / comparison_file.DATA).read_text())
    (table,) = data["tables"]
    assert [row["scenario"] for row in table["rows"]] == ["runtime=oss", "runtime=anyscale"]
    assert [row["decision"]["verdict"] for row in table["rows"]] == ["equivalent", "equivalent"]
    assert [row["improvement"]["percent"] for row in table["rows"]] == pytest.approx([0, 0], abs=1e-9)
    assert table["candidate"] == "this sweep"
    assert table["baseline"].startswith("baseline main (")
    assert "trials are not paired: what has changed on the machine since it was measured counts" in page
    assert {source["sweep"] for source in data["provenance"]["sources"]} == {"", "baseline main"}
    assert re.search(r"Baseline: .*: 10 records, 10 counted\.", page)


def test_a_regression_fails_the_gate_and_is_told_to_the_pull_request(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(outputs, "slower", "--require-non-inferior", "5", "--format", "github") == 4
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{MARK}\n### vbench: 1 slower, 1 equivalent\n")
    assert "**runtime=anyscale: this sweep against baseline main" in printed.out
    assert "is inferior: its latency is higher by at least" in printed.out
    assert "| runtime=anyscale | 4.81 " in printed.out
    assert printed.out.rstrip().endswith("</details>")
    assert "is inferior: its latency is higher by at least" in printed.err


def test_the_same_by_the_command_baseline(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["compare", "main", str(outputs / "sweeps" / "slower"), "--outputs", str(outputs)]
    assert baseline.main([*given, "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["tables"][0]["rows"]) == 2
    assert baseline.main([*given, "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("# this sweep against baseline main (")


@pytest.mark.parametrize("sizes", [(3, 3), (5, 3), (2, 9)])
def test_the_interval_is_welchs(sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(sizes)
    old, new = random.normal(0, 0.05, sizes[0]), random.normal(0.03, 0.02, sizes[1])
    found, known = unpaired(list(old), list(new)), ttest_ind(new, old, equal_var=False)
    assert found.centre / found.standard_error == pytest.approx(known.statistic)
    assert found.degrees == pytest.approx(known.df)


def test_the_history_has_a_line_per_sweep_the_oldest_first(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(outputs, tmp_path / "outputs")
    own = tmp_path / "outputs"
    assert baseline.main(["save", "main", str(own / "sweeps" / "slower"), "--outputs", str(own)]) == 0
    capsys.readouterr()
    assert baseline.main(["history", "main", "--outputs", str(own)]) == 0
    lines = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [float(line["runtime=oss latency_mean_s"]) for line in lines] == pytest.approx(
        [5.006, 5.006], rel=1e-3
    )
    assert float(lines[1]["runtime=anyscale latency_mean_s"]) == pytest.approx(4.806, rel=1e-3)
    assert {line["commit"] for line in lines} == {"abc"}
    # The sweep that was saved last is the baseline.
    assert compared(own, "slower", "--require-non-inferior", "5") == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["save", "a b", "sweeps/old"], "'a b' is no name of a baseline"),
        (["save", "main", "sweeps/old"], "has been saved as main before"),
        (["save", "main", "sweeps"], "sweeps holds no sweep.json"),
        (["compare", "mian", "sweeps/old"], "there is no baseline mian"),
        (["history", "none"], "there is no baseline none"),
        (["list", "--all"], "vbench baseline list does not know --all"),
    ],
)
def test_bad_input_is_one_sentence(
    outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(outputs)
    assert baseline.main([*arguments, "--outputs", "."]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_other_configurations_are_not_compared(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = sweep(tmp_path / "other", 1.0, **{"cluster.flow_mbps": ["9000"]})
    assert compare.main([str(other), "--baseline", "main", "--outputs", str(outputs)]) == 2
    said = capsys.readouterr().err
    assert "no arm of this sweep measures what an arm of the baseline main does" in said
    assert "cluster.flow_mbps" in said


def test_a_baseline_is_complete_whatever_becomes_of_its_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, elsewhere = tmp_path / "first", tmp_path / "elsewhere"
    saved = ledgered.outputs_with_sweep(first, blocks=3, name="s")
    new = ledgered.outputs_with_sweep(first, blocks=3, name="t")
    assert baseline.main(["save", "main", str(saved), "--outputs", str(first)]) == 0
    ledgered.run(first, saved / "6", "a", 3)
    compared_with = ["--baseline", "main", "--out", str(tmp_path / "out")]
    assert compare.main([str(new), *compared_with, "--outputs", str(first)]) == 0
    assert "Baseline: 6 begun, 6 counted" in (tmp_path / "out" / PAGE).read_text()
    shutil.copytree(first / "baselines", elsewhere / "baselines")
    shutil.rmtree(saved)
    assert compare.main([str(new), *compared_with, "--outputs", str(elsewhere)]) == 0


def test_an_empty_outputs_folder_says_how_to_save(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert baseline.main(["list", "--outputs", str(tmp_path)]) == 2
    assert "save a sweep with vbench baseline save main SWEEP_FOLDER" in capsys.readouterr().err
