"""Trials of an application: what every result must say, and when trials may be compared."""

from dataclasses import asdict
from typing import Any

import pytest

from tests.support import records
from vbench.analysis import comparability
from vbench.analysis.arms import scenario_name
from vbench.config.schema import Config
from vbench.record.load_report import AppReport
from vbench.record.measurements import Measurements
from vbench.record.metrics import summarize
from vbench.record.trial import NOT_CHECKED, Trial, result_caveats
from vbench.validity import rules


def configured(check: str | None = None) -> Config:
    requests = ("load.requests=2", "load.concurrency=2")
    checked = () if check is None else (f"app.check={check}",)
    return records.config("workload=app", "app.import_path=main:app", *requests, *checked)


def trial(digest: str = "abc", code: str = "one", folder: str = "0", check: str | None = None) -> Trial:
    app = AppReport(import_path="main:app", code=code, check=check, response_digests={"line 1": digest})
    return records.trial(
        config=asdict(configured(check)), clip=None, folder=folder, load_report=records.load_report(app=app)
    )


def answered(index: int, **changes: Any) -> Any:
    nothing = {"frames_expected": 0, "frames_got": 0, "frame_bytes": 0, "detections": 0, "video_s": 0.0}
    return records.request(index, **{**nothing, **changes})


def test_every_result_without_a_check_says_so() -> None:
    assert result_caveats([trial()]) == [NOT_CHECKED]
    assert result_caveats([trial(check="digest")]) == []


def test_trials_with_other_responses_or_other_code_are_not_compared() -> None:
    assert comparability.check([trial(), trial(folder="1")], "s", ()) == []
    with pytest.raises(comparability.NotComparableError, match="response to line 1: abc in trial 0, def in"):
        comparability.check([trial(), trial("def", folder="1")], "s", ())
    with pytest.raises(comparability.NotComparableError, match="the application: one in trial 0, two in"):
        comparability.check([trial(), trial(code="two", folder="1")], "s", ())
    (note,) = comparability.check([trial(), trial("def", folder="1")], "s", ("responses",))
    assert note.endswith("Compared anyway, by --across responses.")


def test_a_scenario_has_the_applications_name() -> None:
    assert scenario_name(trial(), ["app.args.size"]).startswith("application main:app")


def test_a_wrong_response_breaks_the_rule_and_none_on_frames_is_judged() -> None:
    requests = [answered(0), answered(1, mismatch="another response to line 1 than before")]
    judged = rules.judge(configured("digest"), records.load_report(), Measurements(requests=requests))
    by_name = {rule.name: rule for rule in judged}
    assert not by_name["responses are correct"].passed
    assert by_name["responses are correct"].observed.endswith(
        "1 wrong; first: another response to line 1 than before"
    )
    assert not any("frame" in name or "detection" in name for name in by_name)
    unchecked = rules.judge(configured(), records.load_report(), Measurements(requests=requests))
    assert "responses are correct" not in {rule.name for rule in unchecked}


def test_metrics_are_those_of_responses() -> None:
    requests = [answered(0, first_byte_s=None), answered(1)]
    metrics = summarize(None, Measurements(requests=requests), workload="app")
    assert metrics["throughput_requests_per_s"] > 0
    assert not {"first_byte_mean_s", "transfer_mbps", "infer_compute_s"} & metrics.keys()
    requests = [answered(index, first_byte_s=answered(index).sent_s + 0.5) for index in range(2)]
    metrics = summarize(None, Measurements(requests=requests), workload="app")
    assert metrics["first_byte_mean_s"] == pytest.approx(0.5)
