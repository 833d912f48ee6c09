"""A record that was damaged or edited ends no command with a traceback, and does not count."""

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.analysis import ledgered
from vbench.analysis import compare_sweep
from vbench.analysis.comparison_file import plain
from vbench.cli import compare, gates, log, revalidate
from vbench.errors import VbenchError
from vbench.record.files import MACHINES, NODES, REQUESTS, SWEEP, TRIAL, RecordError
from vbench.record.ledger import LEDGER

FILES = (f"0/{TRIAL}", f"0/{REQUESTS}", f"0/{NODES}", f"0/{MACHINES}", f"../../{LEDGER}", SWEEP)
VALUES = (None, [], {}, "x", "\ud800", -1, 10**400, 1e308, float("inf"), float("nan"), True, [1], {"a": 1})
GONE = object()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ledgered.outputs_with_sweep(tmp_path_factory.mktemp("shipped"))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return ledgered.outputs_with_sweep(tmp_path)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of each value below this one."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def edited(value: Any, path: tuple[str | int, ...], new: object) -> Any:
    """A copy with the value at ``path`` replaced, or taken out."""
    copy = json.loads(json.dumps(value))
    node = copy
    for key in path[:-1]:
        node = node[key]
    if new is GONE:
        del node[path[-1]]
    else:
        node[path[-1]] = new
    return copy


def check_named(sweep: Path, *, is_record: bool) -> None:
    """Nothing crashes, and an edited record does not count."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        assert revalidate.main([str(sweep / "0")]) in (0, 1, 2)
    assert "Traceback" not in said.getvalue()
    try:
        found = compare_sweep(sweep)
    except (VbenchError, RecordError) as error:
        assert str(error)  # noqa: PT017 - one of the two ways to end
        return
    assert found is not None
    json.dumps(plain(found), allow_nan=False)
    if is_record:
        assert found.provenance.faults
        assert all(not each.counted for each in found.provenance.sources if Path(each.folder).name == "0")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_edit_of_one_value_crashes_or_counts(shipped: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(FILES), "file")
    path = shipped / name
    before = path.read_bytes()
    book = (shipped / f"../../{LEDGER}").read_bytes()
    lines = before.decode().splitlines() if path.suffix == ".jsonl" else [before.decode()]
    number = data.draw(st.integers(0, len(lines) - 1), "line")
    value = json.loads(lines[number])
    place = data.draw(st.sampled_from(list(places(value))), "place")
    new = data.draw(st.one_of(st.sampled_from((*VALUES, GONE)), st.floats(), st.integers(), st.text()), "new")
    changed = edited(value, place, new)
    is_same = changed == value and json.dumps(changed) == json.dumps(value)
    lines[number] = json.dumps(changed)
    try:
        path.write_text("\n".join(lines) + "\n")
        check_named(shipped, is_record=name.startswith("0/") and not is_same)
    finally:
        path.write_bytes(before)
        (shipped / f"../../{LEDGER}").write_bytes(book)


EDITS: dict[str, tuple[str, tuple[str | int, ...], object]] = {
    "a metric that is no number": (TRIAL, ("metrics", "latency_mean_s"), float("nan")),
    "a metric beyond all numbers": (TRIAL, ("metrics", "latency_mean_s"), float("inf")),
    "no rules": (TRIAL, ("rules",), GONE),
    "no observations": (TRIAL, ("load_report",), GONE),
    "no network": (TRIAL, ("network",), GONE),
    "no pipeline": (TRIAL, ("config", "pipeline"), GONE),
    "nodes that are none": (TRIAL, ("config", "cluster", "nodes"), 3),
    "packages that are none": (TRIAL, ("environment", "packages"), 3),
    "a block that is none": (TRIAL, ("block",), "x"),
    "a time that is none": (REQUESTS, ("sent_s",), None),
    "frames that are none": (REQUESTS, ("frames_got",), "x"),
    "a machine that is none": (MACHINES, ("machine",), []),
    "a link that is none": (NODES, ("link",), "x"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_record_is_named_and_does_not_count(
    sweep: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, place, new = EDITS[name]
    path = sweep / "0" / file
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    lines[0] = json.dumps(edited(json.loads(lines[0]), place, new))
    path.write_text("\n".join(lines) + "\n")
    check_named(sweep, is_record=True)
    capsys.readouterr()
    assert revalidate.main([str(sweep / "0")]) == 2
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]", "null", "3", "[" * 100_000, "\udcff", '{"schema_version": 2}'])
def test_a_record_that_is_no_object_is_named(
    sweep: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sweep / "0" / TRIAL
    path.write_text(text, errors="surrogateescape")
    assert revalidate.main([str(sweep / "0")]) == 2
    assert f"{path} is damaged" in capsys.readouterr().err
    for number in "123":
        shutil.copy(path, sweep / number / TRIAL)
    with pytest.raises(RecordError, match="holds no readable trial"):
        compare_sweep(sweep)


@pytest.mark.parametrize("place", ["sweep_id", "question", "hash", "files", "trial_id"])
@pytest.mark.parametrize("new", [[], float("inf")])
def test_a_value_of_another_type_in_the_ledger_is_named(sweep: Path, place: str, new: object) -> None:
    path = sweep.parents[1] / LEDGER
    lines = path.read_text().splitlines()
    number = next(number for number, line in enumerate(lines) if place in json.loads(line))
    lines[number] = json.dumps({**json.loads(lines[number]), place: new})
    path.write_text("\n".join(lines) + "\n")
    found = compare_sweep(sweep)
    assert found is not None
    assert any(f"line {number + 1} of {LEDGER}" in fault for fault in found.provenance.faults)


def test_a_plan_that_holds_no_number_is_named(sweep: Path) -> None:
    path = sweep / SWEEP
    path.write_text(path.read_text().replace('"block": 1', '"block": Infinity', 1))
    with pytest.raises(RecordError, match=f"{SWEEP} is damaged: Infinity"):
        compare_sweep(sweep)


def test_faults_come_before_the_bounds_of_a_regression(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in "13":
        shutil.rmtree(sweep / number)
    assert compare.main([str(sweep), "--fail-on-regression", "5"]) == gates.CHANGED
    assert "not what the trials wrote" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("main", "file"), [(revalidate.main, TRIAL), (revalidate.main, NODES), (log.main, TRIAL)]
)
def test_a_file_that_is_a_folder_is_named(
    sweep: Path, main: Any, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sweep / "0" / file
    path.unlink()
    path.mkdir()
    assert main([str(sweep / "0")]) == 2
    assert f"{path} cannot be read: Is a directory" in capsys.readouterr().err
