"""Whether other processes agree with the load process on how long the measurement took.

Requests, spans and nodes' samples are written by the load process. On this machine the harness, another
process, takes the machine's samples, the first as the load begins and the last as it ends. On other machines
an agent on each takes them.
"""

from collections.abc import Iterator, Sequence

from vbench.config.schema import Config
from vbench.config.workload import TRANSFERS, workload_of
from vbench.record.cpu_use import by_machine
from vbench.record.load_report import LoadReport
from vbench.record.requests import Request
from vbench.record.samples import MachineSample
from vbench.record.steady_window import makespan_s
from vbench.record.trial import Rule
from vbench.validity.catalog.record import SAME_MEASURED_TIME
from vbench.validity.first_problem import first_problem

LEAST_OFF_S = 0.5
MOST_OFF_SHARE = 0.03
"""The larger of the two is the allowed difference between the time that the machine's samples span and that
of the requests. In honest trials, it was at most 0.07 s."""

AROUND_S = 5.0
AROUND_SHARE = 0.05
"""The phase ``measure`` begins before the first request and ends after the last: samplers start and stop in
it, also on the nodes of an attached cluster. In honest trials, that took up to 2.6 s."""

CLOCK_S = 0.05


def judge(
    config: Config, load_report: LoadReport, requests: Sequence[Request], machines: Sequence[MachineSample]
) -> Iterator[Rule]:
    """The rule; none for transfers, which measure nothing between requests, and without two samples."""
    if workload_of(config) == TRANSFERS or not requests:
        return
    measured_s = makespan_s(requests)
    problems, spans_s = [], []
    for machine, samples in by_machine(machines).items():
        span_s = samples[-1].at_s - samples[0].at_s
        if not span_s:
            continue
        spans_s.append(span_s)
        if abs(span_s - measured_s) > max(LEAST_OFF_S, MOST_OFF_SHARE * measured_s):
            problems.append(
                f"all requests took {measured_s:.2f} s, but {machine} was sampled for {span_s:.2f} s"
            )
    phase_s = load_report.phases_s.get("measure")
    if phase_s is not None:
        most_s = measured_s + max(AROUND_S, AROUND_SHARE * measured_s)
        if not measured_s - CLOCK_S <= phase_s <= most_s:
            problems.append(
                f"all requests took {measured_s:.2f} s, but the phase in which they were measured took"
                f" {phase_s:.2f} s"
            )
    if not spans_s and phase_s is None:
        return
    yield SAME_MEASURED_TIME.verdict(
        passed=not problems,
        observed=(
            first_problem(problems)
            if problems
            else f"{measured_s:.2f} s by the requests, {max(spans_s, default=measured_s):.2f} s by the"
            f" samples"
        ),
    )
