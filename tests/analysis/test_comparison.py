"""A sweep becomes tables of arms by what they set; what cannot be compared is left out or refused."""

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import sweeps
from vbench.analysis import compare_sweep
from vbench.analysis.arms import PER_BLOCK
from vbench.analysis.comparability import NotComparableError
from vbench.errors import ConfigError
from vbench.record.files import SWEEP, TRIAL, RecordError
from vbench.record.fingerprint import NOT_FINGERPRINTED

LATENCIES = {"single": 90.0, "oss": 80.0, "anyscale": 60.0}
RUNTIMES = tuple(LATENCIES)


def latency(settings: Mapping[str, str], block: int) -> float:
    """Set by the runtime, with 1% of noise, on a machine whose speed changes from block to block."""
    noise = random.Random(f"{settings} {block}").gauss(0, 0.01)
    return LATENCIES[settings.get("runtime", "oss")] * (1 + 0.3 * (block % 2)) * math.exp(noise)


def test_every_other_runtime_is_a_baseline_in_turn(tmp_path: Path) -> None:
    sweeps.write_sweep(tmp_path, {"mode": ["chunked", "combined"], "runtime": RUNTIMES}, 3, latency)
    found = compare_sweep(tmp_path)
    assert found is not None
    assert [(table.candidate, table.baseline) for table in found.tables] == [
        ("Anyscale setting (15 connections)", "OSS (2 connections)"),
        ("Anyscale setting (15 connections)", "OSS (1 connection)"),
    ]
    for table, true in zip(found.tables, (25.0, 33.3), strict=True):
        assert [row.scenario for row in table.rows] == ["chunked inference", "combined inference"]
        for row in table.rows:
            assert row.improvement is not None
            assert row.improvement.verdict == "faster"
            assert row.improvement.blocks == 3
            assert row.improvement.percent == pytest.approx(true, abs=2)
    assert [arm.name for arm in found.scenarios[0].arms] == [
        "OSS (1 connection)",
        "OSS (2 connections)",
        "Anyscale setting (15 connections)",
    ]
    assert found.excluded == ()


def test_what_else_is_swept_makes_scenarios_by_their_size(tmp_path: Path) -> None:
    swept = {"cluster.flow_mbps": ["10000", "5000"], "runtime": ["oss", "anyscale"]}
    sweeps.write_sweep(tmp_path, swept, 2, latency)
    found = compare_sweep(tmp_path)
    assert found is not None
    assert [row.scenario for row in found.tables[0].rows] == [
        "chunked inference, 5 Gbit/s per flow",
        "chunked inference, 10 Gbit/s per flow",
    ]


def test_a_block_counts_only_where_both_arms_are_valid(tmp_path: Path) -> None:
    def broken(settings: Mapping[str, str], block: int) -> bool:
        return settings["runtime"] == "oss" and block == 1

    sweeps.write_sweep(
        tmp_path,
        {"runtime": ["oss", "anyscale"]},
        3,
        lambda s, b: 1.0 if broken(s, b) else latency(s, b),
        valid=lambda s, b: not broken(s, b),
        rules=lambda s, b: sweeps.broken_rule() if broken(s, b) else [],
    )
    found = compare_sweep(tmp_path)
    assert found is not None
    (row,) = found.tables[0].rows
    assert row.improvement is not None
    assert row.improvement.blocks == 2
    assert row.baseline is not None
    assert row.baseline.n == 2
    assert row.improvement.percent == pytest.approx(25, abs=3)
    assert row.uncounted == ("block 2: no valid trial of OSS (2 connections)",)
    (out,) = found.excluded
    assert (out.arm, out.block, out.reason) == (
        "runtime=oss",
        "2",
        "nothing was spilled to disk: 12 MB spilled",
    )


def test_a_planned_trial_without_a_record_is_listed(tmp_path: Path) -> None:
    sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 2, latency)
    (tmp_path / "3" / TRIAL).unlink()
    found = compare_sweep(tmp_path)
    assert found is not None
    assert [(out.folder, out.block, out.reason) for out in found.excluded] == [
        ("3", "2", "it left no record")
    ]
    assert found.tables[0].rows[0].uncounted == (
        "block 2: no valid trial of Anyscale setting (15 connections)",
    )


def test_an_older_sweep_without_a_plan_is_read(tmp_path: Path) -> None:
    sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 2, latency)
    plan = json.loads((tmp_path / SWEEP).read_text())
    del plan["trials"], plan["blocks"]
    (tmp_path / SWEEP).write_text(json.dumps(plan))
    found = compare_sweep(tmp_path)
    assert found is not None
    assert found.tables[0].rows[0].improvement is not None


def test_an_arm_is_compared_with_itself_by_its_label(tmp_path: Path) -> None:
    sweeps.write_sweep(tmp_path, {"label": ["a", "b"]}, 5, latency)
    found = compare_sweep(tmp_path)
    assert found is not None
    (table,) = found.tables
    assert (table.baseline, table.candidate) == (
        "label=a: OSS (2 connections)",
        "label=b: OSS (2 connections)",
    )
    (row,) = table.rows
    assert row.scenario == "chunked inference"
    assert row.improvement is not None
    assert row.improvement.low_percent is not None
    assert row.improvement.high_percent is not None
    assert row.improvement.low_percent <= 0 <= row.improvement.high_percent


def test_connections_are_compared_in_the_order_of_their_number(tmp_path: Path) -> None:
    def faster(settings: Mapping[str, str], block: int) -> float:
        return 100 / float(settings["runtime.connections"]) + block

    sweeps.write_sweep(tmp_path, {"runtime.connections": ["1", "4", "15", "32"]}, 2, faster)
    found = compare_sweep(tmp_path)
    assert found is not None
    assert [table.baseline for table in found.tables] == ["1 connection", "4 connections", "32 connections"]
    assert {table.candidate for table in found.tables} == {"15 connections"}
    names = [arm.name for arm in found.scenarios[0].arms]
    assert names == ["1 connection", "4 connections", "15 connections", "32 connections"]


def test_named_arms_are_compared(tmp_path: Path) -> None:
    swept = {"mode": ["chunked", "combined"], "runtime": ["single", "anyscale"]}
    sweeps.write_sweep(tmp_path, swept, 2, latency)
    modes = compare_sweep(tmp_path, {"mode": "chunked"}, {"mode": "combined"})
    assert modes is not None
    assert (modes.tables[0].baseline, modes.tables[0].candidate) == ("mode=chunked", "mode=combined")
    assert [row.scenario for row in modes.tables[0].rows] == [
        "inference, runtime=anyscale",
        "inference, runtime=single",
    ]
    both = compare_sweep(
        tmp_path, {"mode": "chunked", "runtime": "single"}, {"mode": "combined", "runtime": "anyscale"}
    )
    assert both is not None
    assert (both.tables[0].baseline, both.tables[0].candidate) == (
        "mode=chunked: OSS (1 connection)",
        "mode=combined: Anyscale setting (15 connections)",
    )
    assert [row.scenario for row in both.tables[0].rows] == ["inference"]


def test_what_both_arms_set_beside_the_runtime_is_in_both_names(tmp_path: Path) -> None:
    swept = {"cluster.flow_mbps": ["10000", "5000"], "runtime": ["oss", "anyscale"]}
    sweeps.write_sweep(tmp_path, swept, 2, latency)
    flow = {"cluster.flow_mbps": "5000"}
    found = compare_sweep(tmp_path, {**flow, "runtime": "oss"}, {**flow, "runtime": "anyscale"})
    assert found is not None
    (table,) = found.tables
    assert (table.baseline, table.candidate) == (
        "cluster.flow_mbps=5000: OSS (2 connections)",
        "cluster.flow_mbps=5000: Anyscale setting (15 connections)",
    )


def test_no_two_arms_have_one_name(tmp_path: Path) -> None:
    """Two connections are what Ray opens where nothing is set."""
    sweeps.write_sweep(tmp_path, {"runtime.connections": ["null", "2"]}, 2, latency)
    found = compare_sweep(tmp_path, {"runtime.connections": "null"}, {"runtime.connections": "2"})
    assert found is not None
    (table,) = found.tables
    assert (table.baseline, table.candidate) == (
        "2 connections [runtime.connections=null]",
        "2 connections [runtime.connections=2]",
    )


def test_truth_values_are_found_however_they_are_typed(tmp_path: Path) -> None:
    sweeps.write_sweep(tmp_path, {"pipeline.overlap": ["False", "True"]}, 2, latency)
    found = compare_sweep(tmp_path, {"pipeline.overlap": "false"}, {"pipeline.overlap": "TRUE"})
    assert found is not None
    assert found.tables[0].candidate == "pipeline.overlap=true"


def test_arms_that_share_no_scenario_are_refused_by_what_separates_them(tmp_path: Path) -> None:
    folder = sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 2, latency)
    for name in ("1", "3"):
        trial = json.loads((folder / name / TRIAL).read_text())
        trial["config"]["load"]["concurrency"] = 1
        (folder / name / TRIAL).write_text(json.dumps(trial))
    with pytest.raises(ConfigError, match=r"they also differ in load\.concurrency\. Name"):
        compare_sweep(tmp_path)


def test_a_sweep_of_nothing_that_has_a_default_compares_nothing(tmp_path: Path) -> None:
    assert compare_sweep(sweeps.write_sweep(tmp_path, {"mode": ["chunked", "combined"]}, 2, latency)) is None


@pytest.fixture(scope="module")
def plain_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    return sweeps.write_sweep(folder, {"runtime": ["oss", "anyscale"]}, 2, latency)


@pytest.mark.parametrize(
    ("baseline", "candidate", "said"),
    [
        ({"runtime": "os"}, None, r"no trial has runtime=os: did you mean 'oss'"),
        ({"runtimes": "oss"}, None, r"no trial has a key 'runtimes': did you mean 'runtime'"),
        ({"runtime": "oss"}, {"mode": "chunked"}, "must set the same keys"),
        ({"runtime": "oss"}, {"runtime": "oss"}, "are the same arm"),
        ({"mode": "chunked"}, None, "all trials have mode=chunked"),
    ],
)
def test_arms_that_cannot_be_are_refused(
    plain_sweep: Path, baseline: dict[str, str], candidate: dict[str, str] | None, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        compare_sweep(plain_sweep, baseline, candidate)


def environment(**changes: Any) -> Any:
    """Another environment in the second block."""
    return lambda _, block: {**sweeps.ENVIRONMENT, **(changes if block else {})}


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"kernel": "7.0"}, "machine", r"kernel: 6.1 in trial 0, 7.0 in trial 2"),
        ({"cores": 64}, "machine", r"cores: 2 in trial 0, 64 in trial 2"),
        ({"gpus": ["New GPU"]}, "machine", r"gpus: None in trial 0, \['New GPU'\] in trial 2"),
        ({"git_revision": "def"}, "code", r"git_revision: abc in trial 0, def in trial 2"),
        ({"git_clean": False}, "code", r"git_clean: True in trial 0, False in trial 2"),
        ({"packages": {"ray": "2.61.0"}}, "code", r"ray: 2.60.0 in trial 0, 2.61.0 in trial 2"),
    ],
)
def test_other_machines_and_code_are_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], kind: str, said: str
) -> None:
    runtimes = {"runtime": ["oss", "anyscale"]}
    sweeps.write_sweep(tmp_path, runtimes, 2, latency, environment=environment(**changes))
    with pytest.raises(NotComparableError, match=said) as refused:
        compare_sweep(tmp_path)
    assert f"--across {kind}" in str(refused.value)
    found = compare_sweep(tmp_path, across=[kind])
    assert found is not None
    assert any("Compared anyway" in note for note in found.notes)


def test_code_is_its_files_where_their_digest_is_known(tmp_path: Path) -> None:
    """What is committed beside them during a sweep makes no other code; a change of theirs does."""

    def measured(code: str) -> Any:
        """In the second block after a commit, with these files."""
        first = {**sweeps.ENVIRONMENT, "code": "01"}
        return lambda _, block: {**first, **({"code": code, "git_revision": "def"} if block else {})}

    runtimes = {"runtime": ["oss", "anyscale"]}
    sweeps.write_sweep(tmp_path / "same", runtimes, 2, latency, environment=measured("01"))
    assert compare_sweep(tmp_path / "same") is not None
    sweeps.write_sweep(tmp_path / "other", runtimes, 2, latency, environment=measured("02"))
    said = r"code: 01 \(git abc\) in trial 0, 02 \(git def\) in trial 2"
    with pytest.raises(NotComparableError, match=said):
        compare_sweep(tmp_path / "other")
    found = compare_sweep(tmp_path / "other", across=["code"])
    assert found is not None
    assert any("Compared anyway" in note for note in found.notes)


def test_another_ffmpeg_is_other_code(tmp_path: Path) -> None:
    folder = sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 2, latency)
    trial = json.loads((folder / "2" / TRIAL).read_text())
    trial["clip"]["ffmpeg"] = "n8"
    (folder / "2" / TRIAL).write_text(json.dumps(trial))
    with pytest.raises(NotComparableError, match=r"FFmpeg: n9 in trial 0, n8 in trial 2"):
        compare_sweep(tmp_path)


def test_other_weights_under_one_name_are_refused(tmp_path: Path) -> None:
    """Another detector in trials of the same configuration; one that no record knows is no difference."""
    folder = sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 3, latency)
    for number, detector in (("0", "a" * 64), ("1", "a" * 64), ("4", "b" * 64)):
        trial = json.loads((folder / number / TRIAL).read_text())
        trial["clip"]["detector"] = detector
        (folder / number / TRIAL).write_text(json.dumps(trial))
    with pytest.raises(
        NotComparableError, match=r"weights of shapes \(bundled\): a{10} in trial 0, b{10} in trial 4"
    ):
        compare_sweep(tmp_path)
    assert compare_sweep(tmp_path, across=["code"]) is not None


def test_the_nodes_of_another_cluster_are_another_machine(tmp_path: Path) -> None:
    """And whose harness looked on from where does not matter then."""
    folder = sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 2, latency)
    for number in range(4):
        trial = json.loads((folder / str(number) / TRIAL).read_text())
        trial["load_report"]["hardware"] = {"gpu": {"cpu": "some", "cores": 96}}
        trial["environment"]["host"] = f"laptop {number}"
        (folder / str(number) / TRIAL).write_text(json.dumps(trial))
    assert compare_sweep(tmp_path) is not None
    trial["load_report"]["hardware"]["gpu"]["cores"] = 64
    (folder / "3" / TRIAL).write_text(json.dumps(trial))
    with pytest.raises(NotComparableError, match=r"gpu's cores: 96 in trial 0, 64 in trial 3"):
        compare_sweep(tmp_path)


def test_other_clips_are_refused_by_name(tmp_path: Path) -> None:
    folder = sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 2, latency)
    trial = json.loads((folder / "2" / TRIAL).read_text())
    trial["clip"]["fingerprint"] = "another"
    (folder / "2" / TRIAL).write_text(json.dumps(trial))
    with pytest.raises(
        NotComparableError, match=r"clip.mp4 \(f\) in trial 0, clip.mp4 \(another\) in trial 2"
    ):
        compare_sweep(tmp_path)
    assert compare_sweep(tmp_path, across=["clip"]) is not None


def test_a_configuration_that_differs_beyond_the_sweep_is_a_scenario_of_its_own(tmp_path: Path) -> None:
    folder = sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 2, latency)
    for name in ("2", "3"):
        trial = json.loads((folder / name / TRIAL).read_text())
        trial["config"]["load"]["concurrency"] = 1
        (folder / name / TRIAL).write_text(json.dumps(trial))
    found = compare_sweep(tmp_path)
    assert found is not None
    assert [row.scenario for row in found.tables[0].rows] == [
        "chunked inference, load.concurrency=1",
        "chunked inference, load.concurrency=4",
    ]


def test_no_valid_trial_at_all_is_a_row_and_a_list_of_reasons(tmp_path: Path) -> None:
    swept = {"runtime": ["oss", "anyscale"]}
    sweeps.write_sweep(
        tmp_path, swept, 2, latency, valid=lambda *_: False, rules=lambda *_: sweeps.broken_rule()
    )
    found = compare_sweep(tmp_path)
    assert found is not None
    (row,) = found.tables[0].rows
    assert row.improvement is None
    assert row.uncounted == ("blocks 1, 2: no valid trial of either arm",)
    assert [out.reason for out in found.excluded] == ["nothing was spilled to disk: 12 MB spilled"] * 4
    assert any("No trial of these arms is valid" in note for note in found.notes)


def test_a_folder_that_is_no_sweep_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="not the folder of a sweep"):
        compare_sweep(tmp_path)


def test_what_no_result_depends_on_makes_no_scenario() -> None:
    assert set(NOT_FINGERPRINTED) <= set(PER_BLOCK)
