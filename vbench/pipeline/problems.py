"""Error responses of the API: each a JSON object with one sentence, all of them in the API's description."""

import math
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from vbench.pipeline.api_schema import PATH, Problem, ProcessRequest
from vbench.pipeline.errors import QueueFullError, cause_of, retry_after_s, status_of
from vbench.pipeline.shortened import LONGEST_MESSAGE, short_sentence, shortened

MOST_ERRORS = 10
"""Errors in a body that are listed; the rest are counted."""

QUEUE_FULL = {"X-Vbench-Queue": "full"}
"""Header that tells the proxy's middleware that a request was refused because the queue is full."""

_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to send the request again.",
        "schema": {"type": "integer"},
    }
}


def _described(sentence: str, **more: Any) -> dict[str, Any]:
    return {"model": Problem, "description": sentence, **more}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: _described(
        "The file does not exist on the service's node or at the address, or the path is unknown."
    ),
    405: _described("The path does not allow this method."),
    408: _described("The body of the request did not arrive in time."),
    413: _described("The video exceeds a limit, its frames do not fit in memory, or the body is too large."),
    422: _described("The request is not valid, or the file is damaged or is not a video."),
    431: _described("The request has too many headers, or too long ones."),
    500: _described("A replica failed or was lost."),
    502: _described("The video's server is down, or closed the connection early."),
    503: _described(
        "The service is overloaded, or unavailable (for example while it is being replaced), or fetched "
        "videos take up its disk.",
        headers=_RETRY_AFTER,
    ),
    504: _described("The request took longer than the service allows."),
}
"""The error responses to a request for a video."""

UNHEALTHY: dict[int | str, dict[str, Any]] = {
    431: PROBLEMS[431],
    503: _described("A stage has no replica that answers.", headers=_RETRY_AFTER),
}


def problem(error: BaseException, headers: dict[str, str] | None = None) -> JSONResponse:
    """The response for ``error``: its status, its sentence, and when to retry if that helps."""
    status, sentence = status_of(error)
    after_s = retry_after_s(error)
    more = {} if after_s is None else {"Retry-After": str(math.ceil(after_s))}
    if isinstance(cause_of(error), QueueFullError):
        more |= QUEUE_FULL
    return _response(sentence, status, more | (headers or {}))


async def explain_invalid_request(_: Request, error: Exception) -> JSONResponse:
    """422 with all errors in one sentence, and FastAPI's list of errors."""
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    errors = [
        {
            "loc": [shortened(part) if isinstance(part, str) else part for part in one["loc"]],
            "msg": shortened(one["msg"], LONGEST_MESSAGE),
            "type": one["type"],
        }
        for one in problems[:MOST_ERRORS]
    ]
    sentences = [_sentence(one) for one in errors]
    if len(problems) > MOST_ERRORS:
        sentences.append(f"and {len(problems) - MOST_ERRORS} more")
    return _response("; ".join(sentences), 422, errors=errors)


async def explain_refusal(request: Request, error: Exception) -> JSONResponse:
    """404 and 405: paths and methods that do not exist."""
    assert isinstance(error, HTTPException)
    path, method = shortened(request.url.path), shortened(request.method)
    sentence = str(error.detail)
    if error.status_code == 404:
        sentence = f"there is no {path} here: use POST {PATH}, GET /healthz, GET /docs or GET /openapi.json"
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        sentence = f"{method} is not allowed on {path}: use {allowed}"
    return _response(sentence, error.status_code, error.headers)


async def explain_failure(_: Request, error: Exception) -> JSONResponse:
    """Any other error: 500, unless its type has a status of its own."""
    return problem(error)


def _response(
    sentence: str, status: int, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    return JSONResponse(
        {"detail": short_sentence(sentence), **more}, status_code=status, headers=headers or {}
    )


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
