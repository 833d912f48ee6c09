"""VideoProcessingAPI: the HTTP door. Checks the request, asks a service, and puts failures into words."""

import asyncio
import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from ray import serve

from vbench.pipeline.answer import PATH, Answer, Problem, ProcessRequest
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.errors import RequestTimeoutError, status_of
from vbench.pipeline.replica import Reporter
from vbench.video.remote import shown

http = FastAPI(
    title="vbench video inference",
    description="Objects in the sampled frames of a video, by a four-stage pipeline on Ray Serve.",
)

PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "There is no such file, on the service's node or at the address."},
    413: {"model": Problem, "description": "The video passes a limit, or its frames do not fit."},
    422: {"model": Problem, "description": "The request is not valid, or the video is damaged or none."},
    500: {"model": Problem, "description": "A replica failed or was lost."},
    502: {"model": Problem, "description": "Where the video lies is down, or breaks off."},
    503: {"model": Problem, "description": "The pipeline is not available, as while it is being replaced."},
    504: {"model": Problem, "description": "The request took longer than the service allows."},
}


@http.exception_handler(RequestValidationError)
async def explain_invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
    """422 with all that is wrong in one sentence, and FastAPI's list of errors beside it."""
    errors = [{"loc": one["loc"], "msg": one["msg"], "type": one["type"]} for one in error.errors()]
    return JSONResponse({"detail": "; ".join(map(_sentence, errors)), "errors": errors}, status_code=422)


def _sentence(error: dict[str, Any]) -> str:
    field = ".".join(str(part) for part in error["loc"][1:])
    if error["type"] == "extra_forbidden":
        return f"{field} is not a field of a request: use {', '.join(ProcessRequest.model_fields)}"
    if error["type"] == "json_invalid":
        return "the body is not valid JSON"
    if error["type"] in {"model_attributes_type", "dict_type"}:
        return "the body is not a JSON object: send one, with Content-Type: application/json"
    message = error["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else f"the body: {message}"


def _problem(error: BaseException) -> JSONResponse:
    status, sentence = status_of(error)
    return JSONResponse({"detail": sentence}, status_code=status)


# Decorated here and not where it is deployed, since replicas import this module and need it done; and at the
# end of the module, since the decorator pickles what it finds there at this point.
@serve.ingress(http)
class VideoProcessingAPI:
    """Takes requests over HTTP; one sentence of explanation comes with each that is not answered."""

    def __init__(self, args: PipelineArgs, service: Any) -> None:
        """``service`` is the handle of VideoProcessingService."""
        self._service = service
        self._timeout_s = args.request_timeout_s
        self._reporter = Reporter(args.deployment_id, {})

    @http.post(
        PATH,
        response_model=Answer,
        responses=PROBLEMS,
        summary="Find objects in a video",
        description="Answers when all sampled frames of the video have been looked at: all of them, or none.",
    )
    async def process(self, request: ProcessRequest) -> Response:
        """The service's answer, as it wrote it: it is not parsed again here."""
        received_s = time.time()
        report = self._reporter.report(self._reporter.number())
        answering = self._service.process.remote(request, received_s=received_s, api=report)
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                return Response(await answering, media_type="application/json")
        except asyncio.CancelledError:
            answering.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - every failure is told to the client, by its status
            if not limit.expired():
                return _problem(error)
            answering.cancel()
            return _problem(
                RequestTimeoutError(
                    f"{shown(request.video)} was not answered within {self._timeout_s:g} s: ask for fewer "
                    "frames/s, or raise request_timeout_s"
                )
            )

    @http.get("/healthz", summary="Whether the API answers")
    async def healthz(self) -> dict[str, str]:
        """Always ok: Serve checks the replicas behind it."""
        return {"status": "ok"}
