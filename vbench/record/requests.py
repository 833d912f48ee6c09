"""The measured requests of a trial: the lines of ``requests.jsonl`` and ``spans.jsonl``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vbench.pipeline.reports import ReplicaReport
from vbench.pipeline.spans import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One measured request: a line of ``requests.jsonl``. Times are monotonic seconds of the client."""

    index: int
    scheduled_s: float
    """Due time: when the closed loop was free to send it."""
    sent_s: float
    done_s: float
    sent_unix_s: float
    """``sent_s`` on the wall clock, to align it with spans."""
    status: int | None
    """HTTP status; None without a response."""
    error: str | None
    """Why it failed; None if it was answered."""
    frames_expected: int
    frames_got: int
    frames_wrong: int
    """Frames that are missing, surplus, out of order, or have other bytes than in the reference pass."""
    detections: int
    detections_wrong: int
    """Detections that disagree with the reference pass."""
    mismatch: str | None
    """The first difference from the reference pass, as text."""
    digest: str | None
    """Digest of PTS and pixels of all frames that arrived at the model."""
    answer_bytes: int
    frame_bytes: int
    """Bytes of all frames that arrived at the model."""
    video_s: float
    """Length of the video, in seconds."""
    video: str = ""
    """Fingerprint of the requested video: the clip, or one of its variants. For workload=app, which of the
    requests it is: ``line 3`` of app.requests, or method and path."""
    received_s: float | None = None
    """When the API received it, in Unix seconds of the API's node; None without a response."""
    finished_s: float | None = None
    """When its last result arrived, in Unix seconds of the service's node; None without a response."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The settings that the service reports in the response."""
    replicas: Sequence[ReplicaReport] = ()
    """What each replica that worked on it reports."""
    api_requests: int | None = None
    """HTTP requests of any kind that had reached its API replica when that began its response; None in
    records of earlier versions, and without a response."""
    proxy_requests: int | None = None
    """The same for Serve's proxy; also None if the proxy does not count, on a cluster that was started
    without vbench's middleware."""
    detections_repeated: int | None = None
    """Frames of a scene in which objects have moved since the previous frame, but whose detections equal
    those of the previous frame bit for bit; 0 for other videos, None in records of earlier versions."""

    first_byte_s: float | None = None
    """When the first bytes of the response's body arrived; None without any, and in records of earlier
    versions."""
    request_bytes: int = 0
    """Size of the request's body, for workload=app; else 0."""

    @property
    def latency_s(self) -> float:
        """Seconds from its due time to its response, so that delays in the client are included."""
        return self.done_s - self.scheduled_s

    @property
    def late_s(self) -> float:
        """Seconds from its due time to its sending."""
        return self.sent_s - self.scheduled_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLine(Span):
    """One span of one measured request: a line of ``spans.jsonl``."""

    request: int
    """The request's index."""
