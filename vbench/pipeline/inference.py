"""ModelInference: detects objects in the frames of one chunk, or of a whole video."""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
import ray

from vbench.models.protocol import Detections, ForwardPass
from vbench.models.registry import create
from vbench.pipeline.batching import Batched, Batcher
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.messages import ChunkFindings, FramesMessage, InferenceCall, InferenceReply
from vbench.pipeline.replica import Reporter, merge_settings
from vbench.pipeline.reports import CallWork, Setting
from vbench.pipeline.spans import Span, SpanRecorder
from vbench.video.digest import frame_digests

ObjectRef = Any
"""A Ray ObjectRef: Ray is untyped here."""


class ModelInference:
    """Owns one detector. Frames of all calls wait for it in one queue, in order, and share its batches."""

    def __init__(self, args: PipelineArgs) -> None:
        self._args = args
        threads = args.inference.threads
        self._detector = create(args.model, threads=threads)
        self._reporter = Reporter(args.deployment_id, {**asdict(args.model), "threads": threads})
        self._replica = self._reporter.replica
        self._batcher = Batcher(
            self._detector, size=args.model.batch_size, wait_s=args.model.batch_wait_ms / 1000
        )
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="hash")
        # A thread for each call that can be here: a transfer must not wait for another to end.
        self._fetching = ThreadPoolExecutor(args.max_ongoing("ModelInference"), thread_name_prefix="fetch")

    async def infer(self, call: InferenceCall, *chunks: FramesMessage) -> InferenceReply:
        """The detections in the frames of ``chunks``, which are of one video and in order.

        When the request is cancelled, waiting frames are dropped; a batch that runs is finished.
        """
        stop = threading.Event()
        number = self._reporter.next_number()
        loop = asyncio.get_running_loop()
        # Beside the model's thread, which leaves Python while it computes.
        hashing = loop.run_in_executor(self._hashing, _digests, chunks)
        try:
            batched = await asyncio.wrap_future(
                self._batcher.submit([chunk.frames.pixels for chunk in chunks], stop)
            )
            return self._reply(call, chunks, batched, await hashing, number)
        finally:
            stop.set()
            hashing.cancel()

    async def fetch(self, frames: Sequence[ObjectRef]) -> list[Span]:
        """Fetch frames to this node ahead of the call that will use them; returns the span of each transfer.

        They stay in the node's object store until the call has used them. If the store evicts them before,
        the call fetches them again.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._fetching, self._fetch, frames)

    async def ping(self) -> None:
        """Return at once: this replica answers."""

    def _fetch(self, frames: Sequence[ObjectRef]) -> list[Span]:
        """On a thread: awaiting an ObjectRef leaves a reference cycle that holds its frames (Ray 2.60)."""
        recorder = SpanRecorder(self._replica)
        for reference in frames:
            chunk: FramesMessage = ray.get(reference, timeout=self._args.request_timeout_s)
            recorder.add("infer", "transfer", chunk.chunk, chunk.decoded_s, chunk.arrival_s, chunk.nbytes)
        return recorder.spans

    def _reply(
        self,
        call: InferenceCall,
        chunks: Sequence[FramesMessage],
        batched: Batched,
        digests: Sequence[list[str]],
        number: int,
    ) -> InferenceReply:
        findings = []
        end = 0
        for chunk, hashes in zip(chunks, digests, strict=True):
            start, end = end, end + len(hashes)
            findings.append(_findings(chunk, hashes, batched.detections[start:end]))
        return InferenceReply(
            findings=findings,
            spans=[span for chunk in chunks for span in chunk.spans]
            + self._spans(call, chunks, batched.start_s, time.time()),
            class_names=tuple(self._detector.class_names),
            fingerprint=self._detector.fingerprint,
            reports=[
                *(chunk.report for chunk in chunks),
                self._reporter.report(
                    number,
                    frames=len(batched.detections),
                    batches=batched.batches,
                    load_report=self._observed(batched.passes),
                    work=_work(number, batched.passes),
                ),
            ],
        )

    def _observed(self, passes: Sequence[ForwardPass]) -> dict[str, Setting]:
        """The settings of these passes, as the network and the batcher have them."""
        return {
            "batch_size": self._batcher.size,
            "batch_wait_ms": self._batcher.wait_ms,
            **merge_settings([one.how for one in passes]),
        }

    def _spans(
        self, call: InferenceCall, chunks: Sequence[FramesMessage], start_s: float, end_s: float
    ) -> list[Span]:
        recorder = SpanRecorder(self._replica)
        # All arguments of a call are unpickled together, after the last of them is there.
        arrived_s = max(message.arrival_s for message in (call, *chunks))
        index = None if call.is_combined else chunks[0].chunk
        if call.is_deferred and not call.is_relayed and not call.is_prefetched:
            waited = SpanRecorder(call.sender)
            for chunk in chunks:
                waited.add("infer", "queue", chunk.chunk, chunk.decoded_s, call.sent_s)
            recorder.spans += waited.spans
        sent_s = call.sent_s if call.is_deferred or call.is_relayed else chunks[0].decoded_s
        nbytes = 0 if call.is_prefetched else sum(chunk.nbytes for chunk in chunks)
        recorder.add("infer", "transfer", index, sent_s, arrived_s, nbytes)
        recorder.add("infer", "queue", index, arrived_s, start_s)
        recorder.add("infer", "compute", index, start_s, end_s)
        return recorder.spans


def _work(number: int, passes: Sequence[ForwardPass]) -> CallWork:
    per_frame_ms = [1000 * one.cpu_s / one.frames for one in passes if one.cpu_s is not None]
    return CallWork(
        call=number,
        passes=[(one.number, one.frames) for one in passes],
        pass_cpu_ms=min(per_frame_ms, default=None),
    )


def _digests(chunks: Sequence[FramesMessage]) -> list[list[str]]:
    """Per chunk, one hash per frame of the bytes that arrived."""
    return [frame_digests(chunk.frames) for chunk in chunks]


def _findings(chunk: FramesMessage, digests: list[str], detections: Sequence[Detections]) -> ChunkFindings:
    """Detections of K frames, packed into arrays, with boxes in pixels of the upright picture."""
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(one.boxes for one in detections)])
    return ChunkFindings(
        chunk=chunk.chunk,
        pts=np.array(chunk.frames.pts),
        digests=digests,
        counts=np.array([len(one.scores) for one in detections], np.int64),
        classes=np.concatenate([np.empty(0, np.int64), *(one.classes for one in detections)]),
        scores=np.concatenate([np.empty(0, np.float32), *(one.scores for one in detections)]),
        boxes=chunk.frames.geometry.to_source(boxes),
        frame_bytes=chunk.frames.pixels.nbytes,
    )
