"""``workload=app`` on a running cluster: deploy the application, warm up, send requests, check them."""

from collections.abc import Sequence
from pathlib import Path

import ray

from vbench.config.app import app_of, application_key, working_dir
from vbench.config.app_requests import AppRequest, in_order, read_app_requests
from vbench.config.arrivals import planned_requests
from vbench.config.schema import Config
from vbench.config.serve_file import ServeFile, read_serve_file
from vbench.config.trace_requests import of_trace
from vbench.errors import TrialError
from vbench.load.app_check import ResponseCheck, response_digest
from vbench.load.app_placement import check_placement
from vbench.load.application import code_digest
from vbench.load.closed_loop import HttpRequest, Outcome, closed_loop, reporting
from vbench.load.deploy import deploy_application, deploy_file, exclusive_serve, placement, reserved_port
from vbench.load.entrance import HOST, Entrance
from vbench.load.events import note
from vbench.load.measured_requests import send_measured
from vbench.load.measurement import Observation
from vbench.load.serve_config import (
    LoadedApplication,
    deploy_schema,
    load_applications,
    unused_keys,
)
from vbench.load.spec import LoadSpec
from vbench.record.load_report import AppReport
from vbench.record.requests import Request
from vbench.telemetry.listeners import PortWatch
from vbench.telemetry.serve_calls import cold_deployments, take_calls

TEXT_CHARACTERS = 200
"""Of a response that is an error, in a message."""

UNKNOWN = {
    404: "; the application does not serve {path}: correct app.path, or this line of app.requests",
    405: "; the application does not take {method} there: correct app.method, or this line of app.requests",
}
"""Status -> what it says about the request."""


def drive(job: LoadSpec) -> None:
    """Run the load and write the record's lines and ``load_report.json`` into the job's folder.

    InputError if application or check cannot be used, TrialError if the application cannot be deployed or the
    warm-up fails.
    """
    config = job.config
    app, load, folder = app_of(config), config.load, working_dir(config)
    assert folder is not None
    code = code_digest(folder)
    distinct = read_app_requests(app)
    check = ResponseCheck.of(config)
    applications = load_applications(config)
    file = None if app.config is None else read_serve_file(app.config)
    observation = Observation(job)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    check_placement(applications, application_key(app), nodes)
    with reserved_port(config) as port, exclusive_serve(observation.endpoint):
        with observation.phase("deploy"):
            entrance = _deploy(config, applications, file, port)
        watch = PortWatch(HOST, entrance.ports, entrance.pids)
        with watch.running(load.sample_period_s):
            with observation.phase("warm_up"):
                first = in_order(distinct, load.warmup, load.seed)
                for request in _checked(check, first, _warm_up(job, entrance.urls, first)):
                    if request.error or request.mismatch:
                        raise TrialError(f"the warm-up failed: {request.error or request.mismatch}")
            sent = of_trace(config) or in_order(distinct, planned_requests(config), load.seed)
            requests = [_http(one) for one in sent]
            warm_up = take_calls(observation.names, observation.clocks_off_s)
            with observation.measuring():
                outcomes = send_measured(config, entrance.urls, lambda index: requests[index])
        calls = take_calls(observation.names, observation.clocks_off_s)
        if calls is None:
            note("the times of each deployment are not known: Serve's traces go elsewhere")
        placed = placement(observation.names)
    observation.write(
        requests=_checked(check, sent, outcomes),
        spans=[],
        moved_bytes=None,
        placement=placed,
        cold=cold_deployments(warm_up, calls) if load.warmup else None,
        calls=calls,
        app=AppReport(
            import_path=app.import_path or Path(app.config or "").name,
            config=None if file is None else file.text,
            code=code,
            check=app.check,
            response_digests=dict(sorted(check.digests.items())),
            listeners=watch.listeners() if entrance.ports else None,
        ),
    )


def _deploy(
    config: Config, applications: Sequence[LoadedApplication], file: ServeFile | None, port: int
) -> Entrance:
    """Deploy it; where requests go."""
    if file is not None:
        if unused := unused_keys(file):
            note(unused)
        return deploy_file(config, deploy_schema(file), port)
    (one,) = applications
    return deploy_application(config, one.application, port, name=one.name, what="the application")


def _http(request: AppRequest) -> HttpRequest:
    return HttpRequest(method=request.method, path=request.path, headers=request.headers, body=request.body)


def _warm_up(job: LoadSpec, urls: tuple[str, ...], sent: Sequence[AppRequest]) -> list[Outcome]:
    if not sent:
        return []
    requests = [_http(one) for one in sent]
    return closed_loop(
        urls,
        lambda index: requests[index],
        requests_count=len(sent),
        concurrency=min(job.config.load.concurrency, len(sent)),
        timeout_s=job.config.load.timeout_s,
        answered=reporting("warm-up", len(sent)),
    )


def _checked(check: ResponseCheck, sent: Sequence[AppRequest], outcomes: Sequence[Outcome]) -> list[Request]:
    """The record's lines, in the order of the requests."""
    return [_line(check, sent[outcome.index], outcome) for outcome in outcomes]


def _line(check: ResponseCheck, request: AppRequest, outcome: Outcome) -> Request:
    return Request(
        index=outcome.index,
        scheduled_s=outcome.scheduled_s,
        sent_s=outcome.sent_s,
        done_s=outcome.done_s,
        sent_unix_s=outcome.sent_unix_s,
        status=outcome.status,
        error=_error(request, outcome),
        frames_expected=0,
        frames_got=0,
        frames_wrong=0,
        detections=0,
        detections_wrong=0,
        mismatch=check.problem(request, outcome) if outcome.is_success else None,
        digest=response_digest(outcome.body) if outcome.is_success else None,
        answer_bytes=len(outcome.body),
        frame_bytes=0,
        video_s=0.0,
        video=request.name,
        first_byte_s=outcome.first_byte_s,
        request_bytes=len(request.body or b""),
    )


def _error(request: AppRequest, outcome: Outcome) -> str | None:
    if outcome.is_success:
        return None
    if outcome.error is not None:
        return f"{request.name}: {outcome.error}"
    text = outcome.body.decode(errors="replace").strip()[:TEXT_CHARACTERS]
    wrong = UNKNOWN.get(outcome.status or 0, "").format(path=request.path, method=request.method)
    return f"{request.name}: HTTP {outcome.status}: {text or 'an empty response'}{wrong}"
