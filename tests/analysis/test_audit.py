"""Each way to make a record say something else is named by the comparison."""

import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.analysis import ledgered
from vbench.analysis import compare_sweep
from vbench.analysis.audit import audit
from vbench.analysis.results import Comparison
from vbench.analysis.trials import read_sweep
from vbench.cli.revalidate import main
from vbench.record import ledger
from vbench.record.files import REQUESTS, SWEEP, TRIAL, read_trial, write_json
from vbench.telemetry import environment
from vbench.validity.revalidation import judged


def compared(sweep: Path) -> Comparison:
    found = compare_sweep(sweep)
    assert found is not None
    return found


def edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data, indent=1) + "\n")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return ledgered.outputs_with_sweep(tmp_path)


def test_an_honest_sweep_is_counted_whole(sweep: Path) -> None:
    found = compared(sweep)
    assert found.provenance.ledger.startswith("4 begun, 4 counted (0 invalid, 0 interrupted, 0 missing)")
    assert found.provenance.faults == ()
    assert found.provenance.earlier == ()
    (row,) = found.tables[0].rows
    assert row.improvement is not None
    assert row.improvement.percent == pytest.approx(-25)
    assert len(found.provenance.sources) == 4
    source = found.provenance.sources[0]
    assert (source.code, source.machine["host"], source.counted) == ("c0de", "bench", True)
    assert {"name", "passed", "observed"} == set(source.rules[0])
    assert source.files[TRIAL] == ledger.file_hashes(sweep / "0")[TRIAL]


def times(data: dict[str, object], name: str, factor: float) -> None:
    metrics = data["metrics"]
    assert isinstance(metrics, dict)
    metrics[name] *= factor


TAMPERINGS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "latency x 0.8": (
        lambda s: edit(s / "1" / TRIAL, lambda d: times(d, "latency_mean_s", 0.8)),
        [
            "trial 1 (label=b, block 1)",
            "latency_mean_s",
            "but its lines give 5",
            "trial.json has changed",
        ],
    ),
    "makespan x 0.8": (
        lambda s: edit(s / "1" / TRIAL, lambda d: times(d, "makespan_s", 0.8)),
        ["makespan_s", "trial.json has changed"],
    ),
    "valid: true over a broken rule": (
        lambda s: edit(s / "0" / TRIAL, lambda d: d["rules"][0].update(passed=False)),  # type: ignore[index]
        ["trial 0", "it is marked valid, but breaks the rule", "trial.json has changed"],
    ),
    "valid: false over rules that hold": (
        lambda s: edit(s / "3" / TRIAL, lambda d: d.update(valid=False)),
        ["trial 3 (label=b, block 2)", "it is marked invalid, but passed every rule"],
    ),
    "a request's line taken out": (
        lambda s: (s / "2" / REQUESTS).write_text(
            "\n".join((s / "2" / REQUESTS).read_text().splitlines()[:-1]) + "\n"
        ),
        ["trial 2", "requests.jsonl has changed", "judged again, it breaks the rule 'every request"],
    ),
    "a file taken away": (lambda s: (s / "2" / REQUESTS).unlink(), ["requests.jsonl is missing"]),
    "a record of another sweep put in": (
        lambda s: edit(s / "2" / TRIAL, lambda d: d.update(trial_id="other")),
        ["has other trials of this comparison, but not this one", "has no record here any more"],
    ),
    "the plan without its worst block": (
        lambda s: edit(s / SWEEP, lambda d: d.update(trials=d["trials"][:2])),  # type: ignore[index]
        ["label=a, block 2", "has no record here any more"],
    ),
    "the ledger taken away": (
        lambda s: (s.parents[1] / ledger.LEDGER).unlink(),
        ["it refers to a line of the ledger, but there is no ledger"],
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_was_changed_is_named_and_does_not_count(sweep: Path, name: str) -> None:
    change, said = TAMPERINGS[name]
    change(sweep)
    found = compared(sweep)
    faults = "\n".join(found.provenance.faults)
    assert all(text in faults for text in said), faults
    excluded = {(out.arm, out.block) for out in found.excluded}
    for source in found.provenance.sources:
        if not source.counted:
            assert (source.arm, source.block) in excluded
            assert "not what its trial wrote" in str(source.error)


def test_a_folder_deleted_and_run_again_is_missed(sweep: Path) -> None:
    gone = read_trial(sweep / "3")
    shutil.rmtree(sweep / "3")
    ledgered.run(sweep.parents[1], sweep / "3", "b", 1)
    found = compared(sweep)
    assert found.provenance.ledger.startswith("5 begun, 4 counted (0 invalid, 0 interrupted, 1 missing)")
    (fault,) = found.provenance.faults
    assert fault.startswith(
        f"trial {gone.trial_id} (label=b, block 2) has no record here any more: it ended valid"
    )
    assert "in folder 3" in fault
    (lost,) = found.provenance.superseded
    assert (lost["trial_id"], lost["fate"]) == (gone.trial_id, "missing")


def test_a_trial_that_was_interrupted_and_run_again_is_no_fault(sweep: Path) -> None:
    outputs = sweep.parents[1]
    shutil.rmtree(sweep / "3")
    begun = json.loads((outputs / ledger.LEDGER).read_text().splitlines()[-2])
    assert begun["event"] == ledger.BEGUN
    lines = (outputs / ledger.LEDGER).read_text().splitlines()
    (outputs / ledger.LEDGER).write_text("\n".join(lines[:-1]) + "\n")  # killed before it ended
    ledgered.run(outputs, sweep / "3", "b", 1)
    found = compared(sweep)
    assert found.provenance.faults == ()
    assert found.provenance.ledger.startswith("5 begun, 4 counted (0 invalid, 1 interrupted, 0 missing)")


@pytest.mark.parametrize("line", range(8))
def test_an_edited_line_of_the_ledger_is_named(sweep: Path, line: int) -> None:
    path = sweep.parents[1] / ledger.LEDGER
    lines = path.read_text().splitlines()
    data = json.loads(lines[line])
    data["at"] = "2020-01-01T00:00:00+00:00"
    lines[line] = json.dumps(data)
    path.write_text("\n".join(lines) + "\n")
    faults = "\n".join(compared(sweep).provenance.faults)
    assert f"line {line + 1} of {ledger.LEDGER}" in faults
    assert "was edited" in faults


@pytest.mark.parametrize("line", range(7))
def test_a_line_taken_out_of_the_ledger_is_named(sweep: Path, line: int) -> None:
    path = sweep.parents[1] / ledger.LEDGER
    lines = path.read_text().splitlines()
    del lines[line]
    path.write_text("\n".join(lines) + "\n")
    faults = "\n".join(compared(sweep).provenance.faults)
    assert f"line {line + 1} of {ledger.LEDGER}" in faults
    assert "lines were removed" in faults


def test_a_line_edited_with_a_hash_of_its_own_breaks_the_next(sweep: Path) -> None:
    path = sweep.parents[1] / ledger.LEDGER
    lines = path.read_text().splitlines()
    data = json.loads(lines[1])
    data["valid"] = False
    del data["hash"]
    lines[1] = json.dumps({**data, "hash": ledger._hash(data)})
    path.write_text("\n".join(lines) + "\n")
    assert any(f"line 3 of {ledger.LEDGER}" in fault for fault in compared(sweep).provenance.faults)


def test_earlier_sweeps_of_the_same_question_are_named(tmp_path: Path) -> None:
    ledgered.outputs_with_sweep(tmp_path, name="first")
    second = ledgered.outputs_with_sweep(tmp_path, name="second")
    (said,) = compared(second).provenance.earlier
    assert "by the sweep first (id-first, begun 2026-01-01T00:00:00+00:00, 4 trials begun)" in said


@pytest.mark.parametrize("hair", [{"max_late_ms": 501.0}, {"seed": 2}, {"timeout_s": 601.0}, {"warmup": 5}])
def test_a_sweep_that_another_bound_or_seed_tells_apart_is_named_too(
    tmp_path: Path, hair: dict[str, float]
) -> None:
    ledgered.outputs_with_sweep(tmp_path, name="first")
    second = ledgered.outputs_with_sweep(tmp_path, name="second", **hair)
    (said,) = compared(second).provenance.earlier
    assert "by the sweep first" in said


def test_a_sweep_of_another_load_is_another_question(tmp_path: Path) -> None:
    ledgered.outputs_with_sweep(tmp_path, name="first")
    second = ledgered.outputs_with_sweep(tmp_path, name="second", concurrency=3)
    assert compared(second).provenance.earlier == ()


def test_records_without_a_ledger_say_so_and_count(tmp_path: Path) -> None:
    sweep = ledgered.outputs_with_sweep(tmp_path)
    (tmp_path / ledger.LEDGER).unlink()
    for number in range(4):
        trial = read_trial(sweep / str(number))
        write_json(sweep / str(number) / TRIAL, replace(trial, ledger=None))
    found = compared(sweep)
    assert found.provenance.ledger.startswith("No ledger: 4 records, 4 counted.")
    assert found.provenance.faults == ()


def test_the_ledger_of_a_sweep_apart_from_its_outputs_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    sweep = ledgered.outputs_with_sweep(Path("out")).rename(tmp_path / "apart")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert compared(sweep).provenance.ledger.startswith("4 begun, 4 counted")


def test_a_rule_that_this_code_judges_by_cannot_be_left_out_of_its_own_record(sweep: Path) -> None:
    trial = read_trial(sweep / "0")
    here = replace(trial, environment={**trial.environment, "code": environment.code()})
    rules = judged(sweep / "0", here)
    write_json(sweep / "0" / TRIAL, replace(here, rules=rules[1:], valid=all(r.passed for r in rules[1:])))
    faults = " ".join(audit(read_sweep(sweep))[0][0].faults)
    assert f"it lacks the rule '{rules[0].name}'" in faults


def test_judging_again_appends_to_the_ledger(sweep: Path) -> None:
    book = sweep.parents[1] / ledger.LEDGER
    before = book.read_text()
    main([str(sweep / "0")])
    assert book.read_text().startswith(before)
    last = json.loads(book.read_text().splitlines()[-1])
    assert (last["event"], last["trial_id"]) == (ledger.JUDGED, read_trial(sweep / "0").trial_id)
    assert compared(sweep).provenance.faults == ()


def test_several_writers_make_one_chain(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for number in range(10):
            ledger.append(tmp_path, ledger.JUDGED, {"trial_id": f"{writer}-{number}", "at": "now"})

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    book = ledger.read(tmp_path)
    assert book is not None
    assert book.faults == () or list(book.faults) == []
    assert len(book.hashes) == 40


def test_a_line_that_was_cut_short_is_named_and_the_chain_goes_on(tmp_path: Path) -> None:
    ledger.append(tmp_path, ledger.JUDGED, {"trial_id": "1", "at": "now"})
    with (tmp_path / ledger.LEDGER).open("a") as file:
        file.write('{"event": "jud')
    ledger.append(tmp_path, ledger.JUDGED, {"trial_id": "2", "at": "now"})
    book = ledger.read(tmp_path)
    assert book is not None
    (fault,) = book.faults
    assert f"line 2 of {ledger.LEDGER} cannot be read" in fault


def test_thirty_trials_are_audited_within_seconds(tmp_path: Path) -> None:
    sweep = ledgered.outputs_with_sweep(tmp_path, blocks=9)
    began_s = time.process_time()
    audit(read_sweep(sweep))
    assert time.process_time() - began_s < 10
