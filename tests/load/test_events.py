"""What the load process says in a log that others write to, and the files that come with it."""

import base64
import json
import random
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from vbench.load.events import PART_CHARACTERS, SEPARATOR, DamagedFileError, Event, FileAssembler

SAYING = """
import sys
import zlib
from pathlib import Path
from vbench.load.events import emit, redirect_stdout, send_file
redirect_stdout(in_log=True)
emit({"event": "progress", "phase": "one", "done": 0, "total": 0, "note": ""})
print("a library's line, and another without its end", end="", flush=True)
for path in sys.argv[1:]:
    send_file(Path(path))
emit({"event": "done"})
"""


def said(*paths: Path) -> list[dict[str, Any]]:
    """The events of a process whose standard output and error are one file, as a job's are."""
    done = subprocess.run(
        [sys.executable, "-c", SAYING, *map(str, paths)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [line for line in done.stdout.split("\n") if line.startswith(SEPARATOR)]
    assert all(len(line) < 20_000 for line in lines), "longer ones may come cut"
    return [json.loads(line.removeprefix(SEPARATOR)) for line in lines]


def test_events_stand_apart_in_a_log_and_are_numbered(tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(random.Random(1).randbytes(50_000))
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    events = said(noise, empty)
    assert [event["number"] for event in events] == list(range(len(events)))
    assert [events[0]["phase"], events[-1]["event"]] == ["one", "done"]
    parts = [event for event in events if event["event"] == "file"]
    assert len([part for part in parts if part["name"] == "noise"]) > 1
    there = tmp_path / "there"
    there.mkdir()
    files = FileAssembler(there)
    for part in parts:
        files.add(_event(part))
    assert (there / "noise").read_bytes() == noise.read_bytes()
    assert (there / "empty.jsonl").read_bytes() == b""


def _event(part: dict[str, Any]) -> Event:
    return Event(event="file", name=part["name"], data=part["data"], digest=part["digest"])


@given(lost=st.integers(0, 3))
def test_a_file_that_lacks_a_part_is_refused(lost: int) -> None:
    parts = PARTS[:lost] + PARTS[lost + 1 :]
    files = FileAssembler(Path("/nowhere"))
    if lost == len(PARTS) - 1:
        _take(files, parts)  # never whole, so never written
        return
    with pytest.raises(DamagedFileError, match="noise arrived"):
        _take(files, parts)


def _take(files: FileAssembler, parts: list[Event]) -> None:
    for part in parts:
        files.add(part)


def _parts() -> list[Event]:
    data = random.Random(1).randbytes(33_000)
    text = base64.b64encode(zlib.compress(data)).decode()
    pieces = [text[i : i + PART_CHARACTERS] for i in range(0, len(text), PART_CHARACTERS)]
    digests = [""] * (len(pieces) - 1) + [xxhash.xxh3_128_hexdigest(data)]
    return [
        Event(event="file", name="noise", data=piece, digest=digest)
        for piece, digest in zip(pieces, digests, strict=True)
    ]


PARTS = _parts()


def test_a_file_is_written_into_its_folder_alone(tmp_path: Path) -> None:
    files = FileAssembler(tmp_path / "record")
    (tmp_path / "record").mkdir()
    outside = [
        Event(event="file", name="../outside", data=part["data"], digest=part["digest"]) for part in PARTS
    ]
    with pytest.raises(DamagedFileError):
        _take(files, outside)
    assert not (tmp_path / "outside").exists()
