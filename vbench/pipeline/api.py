"""VideoProcessingAPI: the HTTP ingress. Checks requests, calls a service, and turns errors into responses."""

import asyncio
import math
import time
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi_offline import FastAPIOffline
from ray import serve
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from vbench.pipeline.admission import Admission
from vbench.pipeline.api_schema import PATH, Answer, Healthy, ProcessRequest
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.errors import (
    BodyError,
    BodyTooLargeError,
    HeadersTooLargeError,
    OverloadedError,
    RequestTimeoutError,
)
from vbench.pipeline.header_bounds import check_headers
from vbench.pipeline.health import Health
from vbench.pipeline.problems import (
    PROBLEMS,
    UNHEALTHY,
    explain_failure,
    explain_invalid_request,
    explain_refusal,
    problem,
)
from vbench.pipeline.replica import CallReport, Reporter
from vbench.pipeline.request_body import (
    BodyReceiver,
    ClientLeftError,
    Replayed,
    check_content_type,
    check_json,
)
from vbench.pipeline.request_count import API_COUNT, NUMBER, CountsRequests
from vbench.video.fetch.download import redacted

TIMEOUT_HEADER = "x-request-timeout-seconds"
"""By which a client says how long it waits. Ray's own: Serve's proxy gives the request up after this time."""

HEALTH_TIMEOUT_S = 3.0
"""For a service to answer; it gives the stages behind it 2 s."""

# Swagger UI for /docs comes from the package fastapi-offline: FastAPI's own page takes it from the internet.
http = FastAPIOffline(
    title="vbench video inference",
    description="Detects objects in the sampled frames of a video, in a four-stage pipeline on Ray Serve.",
    redoc_url=None,
    redirect_slashes=False,
)
http.add_exception_handler(RequestValidationError, explain_invalid_request)
http.add_exception_handler(HTTPException, explain_refusal)
http.add_exception_handler(Exception, explain_failure)


class ReceivesFirst:
    """ASGI middleware: has a request within bounds before FastAPI sees it: the headers of each, and the whole
    body of one for a video."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body, or answer it here with what is wrong with that."""
        if scope["type"] == "http":
            try:
                check_headers(scope["headers"])
            except HeadersTooLargeError as error:
                await problem(error, {"Connection": "close"})(scope, receive, send)
                return
        path = str(scope.get("path", "")).removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or (scope["method"], path) != ("POST", PATH):
            await self._app(scope, receive, send)
            return
        api: VideoProcessingAPI = serve.get_replica_context().servable_object
        try:
            body = await api.body(scope, receive)
        except ClientLeftError:
            return
        except BodyTooLargeError as error:  # read on: a client that still sends would not see the response
            await problem(error)(scope, receive, send)
        except (BodyError, OverloadedError) as error:
            await problem(error, {"Connection": "close"})(scope, receive, send)
        else:
            whole = {"type": "http.request", "body": body, "more_body": False}
            await self._app(scope, Replayed(whole, receive), send)


http.add_middleware(ReceivesFirst)
# Added last, it is outermost: it counts what the others refuse too.
http.add_middleware(CountsRequests, header=API_COUNT)


def _patience_s(header: str | None) -> float:
    """Seconds that a client says it waits, less a tenth for the response; infinity without a valid number."""
    try:
        patience_s = float(header or "")
    except ValueError:
        return math.inf
    return 0.9 * patience_s if 0 < patience_s < math.inf else math.inf


def timeout_error(video: str, timeout_s: float, service_timeout_s: float) -> RequestTimeoutError:
    """The error of a request that was cancelled after ``timeout_s``: the service's bound, or its client's."""
    if timeout_s < service_timeout_s:
        return RequestTimeoutError(
            f"{video} was not processed within {timeout_s:g} s, nine tenths of what the request's header "
            "X-Request-Timeout-Seconds allows: request fewer frames/s, or allow more time there"
        )
    return RequestTimeoutError(
        f"{video} was not processed within {timeout_s:g} s: request fewer frames/s, or raise "
        "request_timeout_s of the service"
    )


# Decorated here and not where it is deployed, since replicas import this module and need it done; and at the
# end of the module, since the decorator pickles what it finds there at this point.
@serve.ingress(http)
class VideoProcessingAPI:
    """Takes requests over HTTP; one sentence of explanation comes with each that is not answered.

    It queues requests itself and passes on as many as the services work on: a call that waits in Serve's
    router costs both processes time, and a client that leaves has its request taken from the queue here.
    """

    def __init__(self, args: PipelineArgs, service: Any) -> None:
        """``service`` is the handle of VideoProcessingService."""
        self._service = service
        self._timeout_s = args.request_timeout_s
        share = args.service.replicas / args.api.replicas
        at_once = math.ceil(args.requests_at_once * share)
        self._admission = Admission(slots=at_once, queue_length=math.ceil(args.queue_length * share))
        self._receiver = BodyReceiver(args.receive)
        services = {"VideoProcessingService": (service.silent_stages.remote, args.service.replicas)}
        self._health = Health(services, timeout_s=HEALTH_TIMEOUT_S)
        self._reporter = Reporter(args.deployment_id, {"at_once": at_once})

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """The body of a request for a video. Raises BodyError and its kinds, or OverloadedError."""
        self._admission.check(self._timeout_s)
        check_content_type(scope["headers"])
        body = await self._receiver.receive(scope["headers"], receive)
        check_json(body)
        return body

    @http.post(
        PATH,
        response_model=Answer,
        responses=PROBLEMS,
        summary="Find objects in a video",
        description="Responds when all sampled frames are processed: with all of them, or with an error.",
    )
    async def process(self, request: ProcessRequest, http_request: Request) -> Response:
        """The service's answer, as it wrote it: it is not parsed again here."""
        received_s = time.time()
        report = self._reporter.report(
            http_request.scope[NUMBER], load_report={"at_once": self._admission.slots}
        )
        timeout_s = min(self._timeout_s, _patience_s(http_request.headers.get(TIMEOUT_HEADER)))
        try:
            async with asyncio.timeout(timeout_s) as limit:
                answer = await self._admission.run(lambda: self._ask(request, received_s, report), timeout_s)
                return Response(answer, media_type="application/json")
        except Exception as error:  # noqa: BLE001 - every failure becomes a response with its status
            if not limit.expired():
                return problem(error)
            return problem(timeout_error(redacted(request.video), timeout_s, self._timeout_s))

    async def _ask(self, request: ProcessRequest, received_s: float, report: CallReport) -> bytes:
        answering = self._service.process.remote(request, received_s=received_s, api=report)
        try:
            answer: bytes = await answering
        except asyncio.CancelledError:
            answering.cancel()
            raise
        return answer

    @http.get(
        "/healthz",
        response_model=Healthy,
        responses=UNHEALTHY,
        summary="Whether each stage has a replica that answers",
    )
    async def healthz(self) -> Response:
        """200 while requests can be answered, 503 while a stage is lost or hangs; known for 2 s."""
        answers = await self._health.answers()
        silent = answers.get("VideoProcessingService", ["VideoProcessingService"])
        if not silent:
            return JSONResponse({"status": "ok"})
        return problem(
            OverloadedError(
                f"No replica of {' or '.join(silent)} responds: it hangs, or is being replaced.", 5
            )
        )
