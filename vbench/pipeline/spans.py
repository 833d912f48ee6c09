"""Spans: where the time of a request went, what each span means, and how it is measured.

A span is wall-clock time between two events of one chunk (``chunk`` its index) or of the whole request
(``chunk`` None), in unix seconds. Each end is read from the clock of the process where it happened, so a
transfer between machines includes the difference of their clocks. A negative duration means that the clocks
differ, and is not corrected. ``node`` (Ray's node id) and ``replica`` (Serve's) say where the span ENDED.
Only transfers have ``bytes``: the array bytes handed over, with or without a network in between.

=======  ========  =====  ==========================================================================
stage    kind      chunk  from -> to
=======  ========  =====  ==========================================================================
chunk    queue     None   the API has the request -> a service starts on it (waits for a free service)
chunk    transfer  None   a video that is not on the service's node: requested -> all of it has arrived
chunk    compute   None   opening the file, reading its index, planning the chunks
chunk    queue     None   frames admitted: waits until the object stores have room for this request
chunk    queue     i      waits for a place in the request's window, and room for its packets
chunk    compute   i      reading and re-muxing the chunk's packets, without those that no frame needs
decode   transfer  i      service sends the chunk -> it is unpickled in the decoder's process
decode   queue     i      arrived -> one of the replica's decode slots is free
decode   compute   i      FFmpeg, from its start to the last frame; the copy into one array included
infer    queue     i      decoded -> sent on; only if frames are held back (combined, no overlap)
infer    transfer  i      decoded, or if held back sent on -> unpickled in the model's process
infer    queue     i      arrived -> the model is free
infer    compute   i      forward passes, from the first with one of its frames, boxes to source pixels
=======  ========  =====  ==========================================================================

A forward pass takes frames of several calls, so compute spans of stage ``infer`` on one replica may overlap.
Frames that arrived are hashed in parallel with queue and compute.

In combined mode with ``handoff: direct`` and ``overlap``, one model and more than one node, frames travel as
soon as they are decoded: a transfer i decoded -> in the model's node, a queue i from there until
the one call is sent, whose own transfer (``chunk`` None) then has no bytes.

With ``handoff: relay`` the frames cross twice: a transfer decoder -> service, a queue in the service
(arrived -> sent on, always there), a transfer service -> model. In combined mode all frames are ONE call: its
transfer, queue and compute have ``chunk`` None, and its transfer ends when the last frame has arrived, since
Ray hands the call over once all its arguments are there. A transfer includes Ray's work for it:
serialising, the copy into the object store, the pull, and starting the call. A chunk that holds no target
frame has spans of stage ``chunk`` only. Not in any span: the way of a chunk's results back to the
service (kilobytes), writing the response, and HTTP.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

Stage = Literal["chunk", "decode", "infer"]
Kind = Literal["queue", "transfer", "compute"]

STAGES: tuple[Stage, ...] = get_args(Stage)
"""In the order in which a video goes through them."""
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One stretch of one stage's time; vbench.pipeline.spans lists them all."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "use_attribute_docstrings": True}

    stage: Stage
    """The step of the service: split the video, decode, or infer."""
    kind: Kind
    """What the time was spent on: waiting, moving bytes, or working."""
    chunk: int | None
    """The chunk's index; null if the span belongs to the whole request."""
    node: str
    """Ray's node id (hex) of the process where the span ended."""
    replica: str
    """Serve's id of that replica, with its deployment's name before it: ``VideoDecoder#k3x9...``."""
    start_s: float
    """Unix seconds."""
    end_s: float
    """Unix seconds."""
    bytes: int = 0
    """Array bytes of a transfer, or those of a video that was fetched; 0 for other kinds."""

    @property
    def duration_s(self) -> float:
        """Seconds from start to end; negative if the clocks of two machines differ by more than that."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaId:
    """A replica, and the node it runs on; see ``Span``."""

    node: str
    replica: str


class SpanRecorder:
    """Collects the spans that end in one replica."""

    def __init__(self, replica: ReplicaId) -> None:
        self.replica = replica
        self.spans: list[Span] = []

    def add(
        self, stage: Stage, kind: Kind, chunk: int | None, start_s: float, end_s: float, nbytes: int = 0
    ) -> None:
        """Record one span that ended here."""
        self.spans.append(
            Span(
                stage=stage,
                kind=kind,
                chunk=chunk,
                node=self.replica.node,
                replica=self.replica.replica,
                start_s=start_s,
                end_s=end_s,
                bytes=nbytes,
            )
        )
