"""The rules on who answered, what ran and what must balance, for one record."""

from collections.abc import Iterator

from vbench.config.schema import Config
from vbench.config.workload import VIDEO, workload_of
from vbench.record.clip import Clip
from vbench.record.load_report import LoadReport
from vbench.record.measurements import Measurements
from vbench.record.trial import Rule
from vbench.validity import (
    answered_by,
    as_configured,
    client_time,
    conservation,
    consistency,
    measured_time,
    served,
    work_done,
)
from vbench.validity.catalog.service import OWN_DEPLOYMENT


def judge(
    config: Config,
    load_report: LoadReport,
    measured: Measurements,
    clip: Clip | None,
) -> Iterator[Rule]:
    """All of them; none if no request was answered, which breaks another rule."""
    requests, spans = measured.requests, measured.spans
    if not any(request.error is None for request in requests):
        return
    yield from conservation.judge(config, load_report, measured)
    yield from measured_time.judge(config, load_report, requests, measured.machines)
    app = load_report.app
    if app is not None and app.listeners is not None:
        yield answered_by.only_own_listeners(app.listeners)
    if workload_of(config) != VIDEO:
        return
    graph = load_report.graph
    if graph is None:
        yield OWN_DEPLOYMENT.verdict(
            passed=False,
            observed="the record does not say what was deployed: it is of an earlier version of vbench",
        )
        return
    yield from answered_by.judge(graph, requests, spans)
    yield from as_configured.judge(config, load_report, graph, requests)
    yield from served.judge(load_report, graph, requests)
    yield from client_time.judge(config.load, requests)
    yield from work_done.judge(graph, requests, spans)
    yield from consistency.judge(clip, graph, requests, spans)
