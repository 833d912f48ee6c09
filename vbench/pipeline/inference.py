"""ModelInference: finds objects in the frames of one chunk, or of a whole video, one call at a time."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from vbench.models.protocol import Detections
from vbench.models.registry import create
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.messages import ChunkFindings, FramesMessage, InferenceCall, InferenceReply
from vbench.pipeline.replica import place
from vbench.pipeline.spans import Span, SpanRecorder
from vbench.video.digest import frame_digests
from vbench.video.errors import StoppedError


def batches(arrays: Sequence[npt.NDArray[np.uint8]], size: int) -> Iterator[npt.NDArray[np.uint8]]:
    """The frames of uint8[K_i, H, W, 3] arrays, in order, as uint8[N, H, W, 3] with N = ``size`` (fewer in
    the last), across the arrays' borders. Copies only a batch that crosses one, and only while it is used.
    """
    parts: list[npt.NDArray[np.uint8]] = []
    missing = size
    for array in arrays:
        start = 0
        while start < len(array):
            part = array[start : start + missing]
            start += len(part)
            missing -= len(part)
            parts.append(part)
            if not missing:
                yield parts[0] if len(parts) == 1 else np.concatenate(parts)
                parts, missing = [], size
    if parts:
        yield parts[0] if len(parts) == 1 else np.concatenate(parts)


class ModelInference:
    """Owns one detector, on one thread: calls wait for it there, timed, and in order."""

    def __init__(self, args: PipelineArgs) -> None:
        self._place = place()
        self._batch_size = args.model.batch_size
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._detector = create(args.model.settings(threads=args.inference.threads))
        self._thread.submit(self._detector.load).result()

    async def infer(self, call: InferenceCall, *chunks: FramesMessage) -> InferenceReply:
        """What is in the frames of ``chunks``, which are of one video and in order.

        When the request is cancelled, a waiting call is dropped and a running one ends after its batch.
        """
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._infer, call, chunks, stop)
        finally:
            stop.set()

    def _infer(
        self, call: InferenceCall, chunks: Sequence[FramesMessage], stop: threading.Event
    ) -> InferenceReply:
        start_s = time.time()
        digests = [frame_digests(chunk.frames) for chunk in chunks]
        found: list[Detections] = []
        for batch in batches([chunk.frames.pixels for chunk in chunks], self._batch_size):
            if stop.is_set():
                raise StoppedError("the request was cancelled")
            found += self._detector.detect(batch)
        findings = []
        for chunk, hashes in zip(chunks, digests, strict=True):
            findings.append(_findings(chunk, hashes, found[: len(hashes)]))
            del found[: len(hashes)]
        end_s = time.time()
        return InferenceReply(
            findings=findings,
            spans=[span for chunk in chunks for span in chunk.spans]
            + self._spans(call, chunks, start_s, end_s),
            class_names=tuple(self._detector.class_names),
            fingerprint=self._detector.fingerprint,
        )

    def _spans(
        self, call: InferenceCall, chunks: Sequence[FramesMessage], start_s: float, end_s: float
    ) -> list[Span]:
        recorder = SpanRecorder(self._place)
        # All arguments of a call are unpickled together, after the last of them is there.
        arrived_s = max(message.arrival_s for message in (call, *chunks))
        index = None if call.whole else chunks[0].chunk
        if call.held and not call.relayed:
            waited = SpanRecorder(call.sender)
            for chunk in chunks:
                waited.add("infer", "queue", chunk.chunk, chunk.decoded_s, call.sent_s)
            recorder.spans += waited.spans
        sent_s = call.sent_s if call.held or call.relayed else chunks[0].decoded_s
        recorder.add("infer", "transfer", index, sent_s, arrived_s, sum(chunk.nbytes for chunk in chunks))
        recorder.add("infer", "queue", index, arrived_s, start_s)
        recorder.add("infer", "compute", index, start_s, end_s)
        return recorder.spans


def _findings(chunk: FramesMessage, digests: list[str], found: Sequence[Detections]) -> ChunkFindings:
    """Detections of K frames, packed into arrays, with boxes in pixels of the upright picture."""
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(one.boxes for one in found)])
    return ChunkFindings(
        chunk=chunk.chunk,
        pts=np.array(chunk.frames.pts),
        digests=digests,
        counts=np.array([len(one.scores) for one in found], np.int64),
        classes=np.concatenate([np.empty(0, np.int64), *(one.classes for one in found)]),
        scores=np.concatenate([np.empty(0, np.float32), *(one.scores for one in found)]),
        boxes=chunk.frames.geometry.to_source(boxes),
        frame_bytes=chunk.frames.pixels.nbytes,
    )
