"""A whole trial with planned arrivals: the example application replays a trace, and falls behind a rate."""

import json
import shutil

import pytest

from tests.load.test_app_trial import EXAMPLE, SHORT
from tests.support.runs import Workplace
from vbench.record.files import read_requests, read_trial

pytestmark = pytest.mark.long

GAPS_S = [0, 0.4, 0.4, 1.5, 1.6, 3]


def test_a_trace_is_sent_as_it_was_and_judged_again(workplace: Workplace) -> None:
    shutil.copytree(EXAMPLE, workplace.folder, dirs_exist_ok=True)
    lines = [{"at_s": 7 + 2 * at_s, "path": f"/?seed={at % 2}"} for at, at_s in enumerate(GAPS_S)]
    (workplace.folder / "trace.jsonl").write_text("\n".join(map(json.dumps, lines)))
    status, output = workplace.run(
        "workload=array_graph",
        "load=trace",
        "load.trace=trace.jsonl",
        "load.speed=2",
        'load.objective="p50<9s"',
        *(one for one in SHORT if not one.startswith(("load.requests", "load.concurrency"))),
    )
    assert status == 0, output
    assert "Asked 1.67 requests/s (n = 6): goodput 1.67 requests/s, 0% failed, 0% missed p50<9s" in output
    (folder,) = workplace.trials()
    trial, requests = read_trial(folder), read_requests(folder)
    due = [one.scheduled_s - requests[0].scheduled_s for one in requests]
    assert due == pytest.approx(GAPS_S, abs=1e-6)
    assert [one.video for one in requests] == ["trace line 1", "trace line 2"] * 3
    assert trial.metrics["keeps_up"] == 1
    assert "steady_s" not in trial.metrics
    rules = {rule.name for rule in trial.rules}
    assert {"requests were answered", "the requests are those of the planned arrivals"} <= rules
    status, output = workplace.run("revalidate", str(folder))
    assert status == 0, output
