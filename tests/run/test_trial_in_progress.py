"""A trial whose lines do not fit together ends in a record that says so, and loses nothing."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import records
from vbench.record import files
from vbench.record.requests import SpanLine
from vbench.record.trial import Rule, Trial
from vbench.run.trial_in_progress import TrialInProgress
from vbench.validity.revalidation import judged

UNKNOWN_CHUNK = "request 0 has frames of chunk 7, which no decoder had"


def measured(folder: Path, spans: Sequence[SpanLine]) -> TrialInProgress:
    """A trial on two nodes, as its load process has left it."""
    files.write_json(folder / files.LOAD_REPORT, records.load_report())
    files.write_lines(folder / files.REQUESTS, [records.request()])
    files.write_lines(folder / files.SPANS, spans)
    samples = [records.sample(at_s, node=node) for at_s in (100.0, 110.0) for node in ("head", "gpu")]
    files.write_lines(folder / files.NODES, samples)
    return TrialInProgress(config=records.config(), folder=folder, swept={}, command=[])


def unfit() -> list[SpanLine]:
    """Frames move of a chunk that no decoder had."""
    return [
        records.span("chunk", "compute"),
        records.span("decode", "compute"),
        records.span("infer", "transfer", 0.1, 4000, chunk=7),
    ]


def unjudgeable(trial_rules: Sequence[Rule]) -> list[str]:
    return [rule.observed for rule in trial_rules if rule.name == "the record can be judged"]


def written(trial: Trial, folder: Path) -> Trial:
    files.write_json(folder / files.TRIAL, trial)
    return files.read_trial(folder)


def test_spans_that_do_not_fit_break_a_rule_and_everything_measured_is_kept(tmp_path: Path) -> None:
    trial = measured(tmp_path, unfit()).end("finished", None)
    (observed,) = [text for text in unjudgeable(trial.rules) if UNKNOWN_CHUNK in text]
    assert observed == f"{UNKNOWN_CHUNK} (ValueError in transfers.py)"
    assert not trial.valid
    assert trial.metrics == {"requests": 1.0}
    assert trial.load_report is not None
    assert len(files.read_requests(tmp_path)) == 1
    assert len(files.read_spans(tmp_path)) == 3


def test_a_record_of_such_a_trial_breaks_the_same_rule_when_it_is_judged_again(tmp_path: Path) -> None:
    trial = written(measured(tmp_path, unfit()).end("finished", None), tmp_path)
    assert unjudgeable(judged(tmp_path, trial)) == unjudgeable(trial.rules)


def test_a_trial_whose_spans_fit_has_metrics_of_its_transfers(tmp_path: Path) -> None:
    trial = measured(tmp_path, unfit()[:2]).end("finished", None)
    assert not any(UNKNOWN_CHUNK in text for text in unjudgeable(trial.rules))
    assert trial.metrics["transfer_mb_per_request"] == 0.0


@pytest.mark.parametrize("name", [files.REQUESTS, files.SPANS, files.LOAD_REPORT])
def test_a_file_that_cannot_be_read_fails_the_trial_and_is_named(tmp_path: Path, name: str) -> None:
    begun = measured(tmp_path, [])
    (tmp_path / name).write_text("{ damaged")
    trial = begun.end("finished", None)
    assert (trial.status, trial.valid) == ("failed", False)
    assert trial.error is not None
    assert trial.error.startswith(f"what was measured cannot be read: {tmp_path / name} is damaged")
    assert (tmp_path / files.LOAD_REPORT).exists()
    assert written(trial, tmp_path).error == trial.error
