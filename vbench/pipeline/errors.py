"""The errors of a request, each with the HTTP status and the sentence that the client gets."""

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException

from vbench.errors import first_line
from vbench.video.errors import (
    VideoBusyError,
    VideoError,
    VideoTimeoutError,
    VideoTooLargeError,
    VideoUnreachableError,
)


class VideoMissingError(VideoError):
    """The file does not exist on the node that reads videos."""


class RequestTimeoutError(TimeoutError):
    """The request took longer than the service allows."""


class OverloadedError(RuntimeError):
    """The service has no room for this request now; it may have later."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        """``retry_after_s``: when to send the request again; the client gets it as ``Retry-After``."""
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type["OverloadedError"], tuple[str, float]]:
        return type(self), (str(self), self.retry_after_s)


class QueueFullError(OverloadedError):
    """The queue has no room for this request, whatever it asks for."""


class HeadersTooLargeError(ValueError):
    """A request has more headers, or longer ones, than the API accepts."""


class BodyError(ValueError):
    """The body of a request is not what the API accepts."""


class BodyTooLargeError(BodyError):
    """The body of a request is larger than the API accepts."""


class BodyTimeoutError(BodyError):
    """The body of a request did not arrive in time."""


class IncompleteError(RuntimeError):
    """A stage returned something other than what was requested; a partial result is never sent."""


STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (VideoMissingError, 404),
    (VideoTooLargeError, 413),
    (VideoBusyError, 503),
    (VideoTimeoutError, 504),
    (VideoUnreachableError, 502),
    (VideoError, 422),
    (RequestTimeoutError, 504),
    (HeadersTooLargeError, 431),
    (BodyTimeoutError, 408),
    (BodyTooLargeError, 413),
    (BodyError, 422),
    (OverloadedError, 503),
    (BackPressureError, 503),
    (DeploymentUnavailableError, 503),
)


RETRY_AFTER_S = 5.0
"""When to retry while the application is being replaced (about as long as a replica takes to start), or while
other requests take up the disk."""


def cause_of(error: BaseException) -> BaseException:
    """The error as the replica raised it, without Ray's wrappers."""
    while isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    return error


def status_of(error: BaseException) -> tuple[int, str]:
    """HTTP status and sentence for an error; 500 for errors that no request should be able to cause."""
    cause = cause_of(error)
    for kind, status in STATUSES:
        if isinstance(cause, kind):
            return status, str(cause)
    if isinstance(cause, RayError | RayServeException):
        return 500, f"A replica or node was lost while it worked on this request: {first_line(cause)}"
    said = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause  # without its path
    return 500, f"{type(cause).__name__}: {said}"


def retry_after_s(error: BaseException) -> float | None:
    """Seconds after which the same request may succeed; None for errors that do not go away."""
    cause = cause_of(error)
    if isinstance(cause, OverloadedError):
        return cause.retry_after_s
    return RETRY_AFTER_S if status_of(cause)[0] == 503 else None
