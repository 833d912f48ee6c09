"""``load=transfer``: transfers objects from one node to another through Ray's object stores, without video.

A request is ``load.objects`` fresh objects of ``load.object_mb`` each, one request at a time. The sender puts
them into its store first; the latency is from the receiver's call until all of them are in its own store.
Both hash the objects outside of that time. In the record an object counts as a frame.
"""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import ray

from vbench.config.transfer import object_bytes, transfer_endpoints
from vbench.errors import TrialError
from vbench.load.events import progress
from vbench.load.measurement import Observation
from vbench.load.spec import LoadSpec
from vbench.load.transfer_actors import Receiver, Sender, TransferPair, TransferResult, reason
from vbench.pipeline.reports import ReplicaReport
from vbench.record.requests import Request, SpanLine
from vbench.video.digest import combine

OK = 200
"""Status of a request whose objects arrived, as readers of the record expect it; there is no HTTP."""


def drive(job: LoadSpec) -> None:
    """Run the load and write the record's lines and ``load_report.json`` into the job's folder.

    TrialError if sender or receiver do not start, or the warm-up's objects do not arrive intact.
    """
    load = job.config.load
    sender, receiver = transfer_endpoints(job.config.cluster)
    observation = Observation(job)
    ids = {name: node_id for node_id, name in observation.names.items()}
    with ExitStack() as stack:
        with observation.phase("deploy"):
            pair = stack.enter_context(_pair(job, ids[sender], ids[receiver]))
        with observation.phase("warm_up"):
            warm = loop(pair, first=0, count=load.warmup, timeout_s=load.timeout_s, phase="warm-up")
            _refuse_wrong([request_line(moved, index) for index, moved in enumerate(warm)])
        with observation.measuring(pair.actors(sender, receiver)):
            measured = loop(
                pair, first=load.warmup, count=load.requests, timeout_s=load.timeout_s, phase="requests"
            )
    spans = [span_lines(moved, index, sender, receiver) for index, moved in enumerate(measured)]
    moved_bytes = sum(moved.arrived.bytes for moved in (*warm, *measured) if moved.arrived)
    observation.write(
        requests=[
            replace(request_line(moved, index), replicas=pull_report(moved, receiver))
            for index, moved in enumerate(measured)
        ],
        spans=[span for of_one in spans for span in of_one],
        moved_bytes={(sender, receiver): moved_bytes},
        placement={Sender.__name__: {sender: 1}, Receiver.__name__: {receiver: 1}},
        cold=[] if warm else None,
    )


@contextmanager
def _pair(job: LoadSpec, sender_id: str, receiver_id: str) -> Iterator[TransferPair]:
    load, timeout_s = job.config.load, job.config.cluster.deploy_timeout_s
    with ExitStack() as stack:
        progress("starting sender and receiver")
        try:
            pair = stack.enter_context(
                TransferPair.between(
                    sender_id,
                    receiver_id,
                    seed=load.seed,
                    objects=load.objects,
                    object_bytes=object_bytes(job.config),
                    timeout_s=timeout_s,
                )
            )
        except ray.exceptions.RayError as error:
            raise TrialError(
                f"sender and receiver did not start within cluster.deploy_timeout_s={timeout_s:g}:"
                f" {reason(error)}; raise it on a slow machine"
            ) from error
        yield pair


def _refuse_wrong(requests: Sequence[Request]) -> None:
    for request in requests:
        if request.error or request.mismatch:
            raise TrialError(f"the warm-up failed: {request.error or request.mismatch}")


def loop(pair: TransferPair, *, first: int, count: int, timeout_s: float, phase: str) -> list[TransferResult]:
    """Requests ``first`` to ``first + count - 1``, one after another; none is sent after a failure.

    TrialError if the sender cannot put its objects.
    """
    moved: list[TransferResult] = []
    progress(phase, 0, count)
    while len(moved) < count and not (moved and moved[-1].error):
        try:
            moved.append(pair.move(first + len(moved), timeout_s))
        except ray.exceptions.RayError as error:
            raise TrialError(f"objects could not be created or checked: {reason(error)}") from error
        mean_s = statistics.fmean(one.done_s - one.sent_s for one in moved)
        progress(phase, len(moved), count, f"mean {mean_s:.2f} s")
    return moved


def pull_report(moved: TransferResult, node: str) -> list[ReplicaReport]:
    """The receiver's report of its pull; empty if the pull did not finish."""
    if moved.pulled is None:
        return []
    objects = len(moved.arrived.digests) if moved.arrived else 0
    return [
        ReplicaReport(
            replica=Receiver.__name__,
            node=node,
            deployment_id="",
            settings={},
            calls=[(moved.pulled.number, objects, 0)],
        )
    ]


def request_line(moved: TransferResult, index: int) -> Request:
    """The record's line: objects are its frames, and the sender's hashes are its reference pass."""
    sent = moved.made.digests
    got = moved.arrived.digests if moved.arrived else []
    pairs = zip(sent, got, strict=False)
    wrong = [i for i, (one, other) in enumerate(pairs) if one != other]
    missing = abs(len(sent) - len(got)) if moved.arrived else 0
    mismatch: str | None = None
    if wrong:
        mismatch = f"object {wrong[0]} of request {index} arrived with different bytes than were sent"
    elif missing:
        mismatch = f"{len(got)} objects of request {index} arrived, but {len(sent)} were sent"
    return Request(
        index=index,
        scheduled_s=moved.sent_s,
        sent_s=moved.sent_s,
        done_s=moved.done_s,
        sent_unix_s=moved.sent_unix_s,
        status=OK if moved.error is None else None,
        error=moved.error,
        frames_expected=len(sent),
        frames_got=len(got),
        frames_wrong=len(wrong) + missing,
        detections=0,
        detections_wrong=0,
        mismatch=mismatch,
        digest=combine(got) if moved.arrived else None,
        answer_bytes=0,
        frame_bytes=moved.arrived.bytes if moved.arrived else 0,
        video_s=0.0,
    )


def span_lines(moved: TransferResult, index: int, sender: str, receiver: str) -> list[SpanLine]:
    """Making the objects is ``decode`` ``compute`` on the sender, moving them ``infer`` ``transfer`` to the
    receiver: so what had to cross is found as it is for frames. ``chunk`` is 0, the request being one."""
    spans = [
        SpanLine(
            request=index,
            stage="decode",
            kind="compute",
            chunk=0,
            node=sender,
            replica=Sender.__name__,
            start_s=moved.made.start_s,
            end_s=moved.made.end_s,
            bytes=0,
        )
    ]
    if moved.pulled and moved.arrived:
        spans.append(
            SpanLine(
                request=index,
                stage="infer",
                kind="transfer",
                chunk=0,
                node=receiver,
                replica=Receiver.__name__,
                start_s=moved.pulled.start_s,
                end_s=moved.pulled.end_s,
                bytes=moved.arrived.bytes,
            )
        )
    return spans
