"""Whether every request was answered, and with what it should be."""

from collections.abc import Iterator, Sequence

from vbench.config.arrivals import is_open
from vbench.config.schema import Config
from vbench.config.workload import APP, TRANSFERS, workload_of
from vbench.record.load_report import LoadReport
from vbench.record.requests import Request
from vbench.record.trial import Rule
from vbench.validity.catalog.answers import (
    ANSWERED,
    DETECTIONS_AGREE,
    FRAMES_IDENTICAL,
    OBJECTS_WHOLE,
    RESPONSES_CORRECT,
    SOME_ANSWERED,
)


def judge(config: Config, requests: Sequence[Request], load_report: LoadReport) -> Iterator[Rule]:
    """The rules, as far as they apply to the workload."""
    failed = [r for r in requests if r.error is not None]
    answered = len(requests) - len(failed)
    first = f"; first failure: {failed[0].error}" if failed else ""
    if load_report.unsent_requests:
        first += f"; {load_report.unsent_requests} were not sent after it"
    if is_open(config.load):
        # Requests that fail are a result there: they are no goodput.
        planned = len(requests) + load_report.unsent_requests
        yield SOME_ANSWERED.verdict(
            passed=answered > 0 and not load_report.unsent_requests,
            observed=f"{answered} of {planned} answered{first}",
        )
    else:
        yield ANSWERED.verdict(
            passed=not failed and len(requests) == config.load.requests,
            observed=f"{answered} of {config.load.requests} answered{first}",
        )
    workload = workload_of(config)
    if workload == APP:
        yield from _responses(config, requests, answered)
        return
    yield _frames(requests, answered, moved=workload == TRANSFERS)
    if workload != TRANSFERS:
        yield _detections(requests, answered)


def _responses(config: Config, requests: Sequence[Request], answered: int) -> Iterator[Rule]:
    """Of an application; none if only the status is checked."""
    check = config.app.check if config.app else None
    if check is None:
        return
    wrong = [r for r in requests if r.error is None and r.mismatch is not None]
    first = f"; first: {wrong[0].mismatch}" if wrong else ""
    yield RESPONSES_CORRECT.verdict(
        passed=not wrong and answered > 0,
        observed=f"{answered} responses checked by app.check={check}, {len(wrong)} wrong{first}",
    )


def _frames(requests: Sequence[Request], answered: int, *, moved: bool) -> Rule:
    wrong = [r for r in requests if r.error is None and r.frames_wrong]
    first = f"; first: {wrong[0].mismatch}" if wrong else ""
    what = "objects" if moved else "frames"
    return (OBJECTS_WHOLE if moved else FRAMES_IDENTICAL).verdict(
        passed=not wrong and answered > 0,
        observed=(
            f"{sum(r.frames_got for r in requests)} {what}, {sum(r.frames_wrong for r in wrong)} wrong{first}"
        ),
    )


def _detections(requests: Sequence[Request], answered: int) -> Rule:
    wrong = [r for r in requests if r.error is None and r.detections_wrong]
    first = f"; first: {wrong[0].mismatch}" if wrong else ""
    count = sum(r.detections for r in requests)
    if answered and not count and not wrong:
        first = ": the model detects nothing in this video, so this proves little about the model"
    return DETECTIONS_AGREE.verdict(
        passed=not wrong and answered > 0,
        observed=f"{count} detections, {sum(r.detections_wrong for r in wrong)} wrong{first}",
    )
