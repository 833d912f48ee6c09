"""A trace of an application says what is asked for; one of the video service, only when."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import records
from vbench.config.schema import Config
from vbench.config.trace_requests import of_trace, problems
from vbench.errors import ConfigError


def asked(folder: Path, *lines: Mapping[str, Any], of: str = "app") -> Config:
    path = folder / "trace.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    app = ("workload=app", "app.import_path=main:app") if of == "app" else ()
    return records.config(*app, "load=trace", f"load.trace={path}")


def test_requests_are_those_of_the_lines_and_equal_ones_have_one_name(tmp_path: Path) -> None:
    config = asked(
        tmp_path,
        {"at_s": 1, "path": "/a", "json": {"x": 1, "y": 2}},
        {"at_s": 2, "path": "/b"},
        {"at_s": 3, "json": {"y": 2, "x": 1}, "path": "/a"},
    )
    requests = of_trace(config)
    assert [(one.name, one.method, one.path) for one in requests] == [
        ("trace line 1", "POST", "/a"),
        ("trace line 2", "GET", "/b"),
        ("trace line 1", "POST", "/a"),
    ]


def test_only_requests_that_are_due_are_sent(tmp_path: Path) -> None:
    config = asked(tmp_path, *({"at_s": number, "path": "/a"} for number in range(10)))
    config.load.duration_s = 4
    assert len(of_trace(config)) == 4


def test_a_trace_that_only_says_when_leaves_the_requests_as_they_are(tmp_path: Path) -> None:
    assert of_trace(asked(tmp_path, {"at_s": 1}, {"at_s": 2})) == []
    assert list(problems(asked(tmp_path, {"at_s": 1}, of="video"))) == []


def test_what_a_line_cannot_ask_for_is_refused_with_its_number(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"line 2 of load\.trace=.*: there is no key 'paht': did you mean 'path'"
    ):
        asked(tmp_path, {"at_s": 1}, {"at_s": 2, "paht": "/"})
    with pytest.raises(
        ConfigError, match=r"line 1 of load\.trace=.* has the key 'path', which only workload=app"
    ):
        asked(tmp_path, {"at_s": 1, "path": "/"}, of="video")
