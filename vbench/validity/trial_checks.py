"""The rules on who answered, what ran and what must balance, over one record."""

from collections.abc import Iterator, Sequence

from vbench.config.schema import Config
from vbench.config.transfer import TRANSFER
from vbench.record.network import Network
from vbench.record.types import Clip, MachineSample, Observed, Request, Rule, SpanLine
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


def judge(
    config: Config,
    observed: Observed,
    requests: Sequence[Request],
    spans: Sequence[SpanLine],
    network: Network | None,
    machines: Sequence[MachineSample],
    clip: Clip | None,
) -> Iterator[Rule]:
    """All of them; none if no request was answered, which breaks a rule by itself."""
    if not any(request.error is None for request in requests):
        return
    yield from conservation.judge(config, observed, requests, spans, network)
    yield from measured_time.judge(config, observed, requests, machines)
    if config.load.name == TRANSFER:
        return
    graph = observed.graph
    if graph is None:
        yield Rule(
            name="this trial's deployment answered",
            holds=False,
            found="the record does not say what was deployed: an earlier version of vbench made it",
            remedy="run the trial again",
        )
        return
    yield from answered_by.judge(graph, requests, spans)
    yield from as_configured.judge(config, observed, graph, requests)
    yield from served.judge(observed, graph, requests)
    yield from client_time.judge(config.load, requests)
    yield from work_done.judge(graph, requests, spans)
    yield from consistency.judge(clip, graph, requests, spans)
