"""What each measured request left: the lines of ``requests.jsonl`` and ``spans.jsonl``."""

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
    """When the closed loop was free to send it."""
    sent_s: float
    done_s: float
    sent_unix_s: float
    """``sent_s`` on the wall clock, to lay spans beside requests."""
    status: int | None
    """HTTP status; None where no answer came."""
    error: str | None
    """Why it failed; None where it was answered."""
    frames_expected: int
    frames_got: int
    frames_wrong: int
    """Frames missing, surplus, out of order, or with other bytes than in the reference pass."""
    detections: int
    detections_wrong: int
    """Detections that disagree with the reference pass."""
    mismatch: str | None
    """The first difference to the reference, in words."""
    digest: str | None
    """Over pts and pixels of all frames that arrived at the model."""
    answer_bytes: int
    frame_bytes: int
    """Bytes of all frames that arrived at the model."""
    video_s: float
    """Length of the video, in seconds."""
    video: str = ""
    """Fingerprint of the video that it asked for: the clip's, or that of one of its variants."""
    received_s: float | None = None
    """When the API had it, in Unix seconds of the API's node; None without an answer."""
    finished_s: float | None = None
    """When its last result was there, in Unix seconds of the service's node; None without an answer."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How the service says it worked on it: the answer's ``settings``."""
    replicas: Sequence[ReplicaReport] = ()
    """What each replica that worked on it says of itself."""
    api_requests: int | None = None
    """HTTP requests of any kind that had reached its API replica when that began its response; None in
    records of earlier versions, and without a response."""
    proxy_requests: int | None = None
    """The same of Serve's proxy; None also if the proxy does not count, on a cluster that was started without
    vbench's middleware."""
    detections_repeated: int | None = None
    """Frames of a scene in which objects have moved since the frame before, and whose detections are to the
    bit those of the frame before; 0 for other videos, None in records of earlier versions."""

    @property
    def latency_s(self) -> float:
        """Seconds from when it was due to its answer: time the client lost is not hidden."""
        return self.done_s - self.scheduled_s

    @property
    def late_s(self) -> float:
        """Seconds the client sent it after it was due."""
        return self.sent_s - self.scheduled_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLine(Span):
    """One span of one measured request: a line of ``spans.jsonl``."""

    request: int
    """The request's index."""
