"""One request's flow: chunks to the decoders and frames to the model, when mode, hand-off, overlap and
window ask for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from vbench.pipeline.chunk_source import ChunkSource, ChunkSpan
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.messages import ChunkMessage, FramesMessage, InferenceCall, InferenceReply
from vbench.pipeline.settings import Mode
from vbench.pipeline.spans import Span, SpanRecorder
from vbench.ray_internals.objects import (
    ObjectRef,
    Response,
    object_existence,
    object_size,
    response_reference,
)
from vbench.video.types import Chunk, FrameGeometry

T = TypeVar("T")
Handle = Any
"""A Serve DeploymentHandle: Ray is untyped here."""
Frames = ObjectRef | FramesMessage
"""Decoded frames on their way to the model: by reference (direct), or themselves (relay)."""


class Flow:
    """Runs one request. Nothing is retried; one failure cancels everything that runs for the request."""

    def __init__(
        self,
        *,
        args: PipelineArgs,
        mode: Mode,
        geometry: FrameGeometry,
        decoder: Handle,
        inference: Handle,
        source: ChunkSource,
        recorder: SpanRecorder,
        nodes: int,
    ) -> None:
        """``nodes``: of the cluster; with one there is no other node to send frames to."""
        self._combined = mode == "combined"
        self._held = self._combined or not args.overlap
        self._relayed = args.handoff == "relay"
        # Only with a single model: of several, it is unknown which one will get the call.
        ahead = args.overlap and not self._relayed and nodes > 1
        self._fetches = self._combined and ahead and args.inference.replicas == 1
        self._geometry = geometry
        self._decoder = decoder
        self._inference = inference
        self._source = source
        self._recorder = recorder
        self._window = asyncio.Semaphore(args.window)
        self._running: set[Response] = set()
        self._fetched: list[Span] = []
        """The transfers of frames that were brought to the model before the call."""
        self.chunks: list[ChunkSpan] = []
        """The chunks split so far, in order; all of them after ``run``."""

    async def run(self) -> list[InferenceReply]:
        """Replies that together cover each chunk that has frames once, in order.

        Raises what the failing stage raised; what still runs for the request is cancelled first.
        """
        try:
            if not self._held:
                return await self._for_each_chunk(self._decode_and_infer)
            handoffs = await self._for_each_chunk(self._decode)
            if self._combined:
                return [await self._infer(handoffs)] if handoffs else []
            return await self._infer_each(handoffs)
        finally:
            for response in self._running:
                response.cancel()

    async def _for_each_chunk(self, work: Callable[[Chunk], Awaitable[T]]) -> list[T]:
        """``work`` on each chunk that has frames, as many at a time as the window has places; in order."""

        async def in_window(chunk: Chunk) -> T:
            try:
                return await work(chunk)
            finally:
                self._window.release()

        tasks: list[asyncio.Task[T]] = []
        async with _FirstErrorGroup() as group:
            while (chunk := await self._next_chunk()) is not None:
                if len(chunk.sampled_pts):
                    tasks.append(group.create_task(in_window(chunk)))
                else:
                    self._source.decoded(chunk.index)
                    self._window.release()
        return [task.result() for task in tasks]

    async def _next_chunk(self) -> Chunk | None:
        """The next chunk, with a place in the window; None, without one, after the last."""
        wanted_s = time.time()
        await self._window.acquire()
        split = await self._source.next()
        if split.chunk is None:
            self._window.release()
            return None
        chunk = split.chunk
        self._recorder.add("chunk", "queue", chunk.index, wanted_s, split.start_s)
        self._recorder.add("chunk", "compute", chunk.index, split.start_s, split.end_s)
        self.chunks.append(ChunkSpan.of(chunk))
        return chunk

    async def _decode_and_infer(self, chunk: Chunk) -> InferenceReply:
        return await self._infer([await self._decode(chunk)])

    async def _decode(self, chunk: Chunk) -> Frames:
        message = ChunkMessage(chunk=chunk, geometry=self._geometry, sent_s=time.time())
        response = self._send(self._decoder.decode, message)
        if not self._relayed:
            reference = await self._reference(response, len(chunk.sampled_pts) * self._geometry.frame_bytes)
            self._running.discard(response)
            self._source.decoded(chunk.index)
            if self._fetches:
                await self._fetch(reference)
            return reference
        frames: FramesMessage = await response
        self._running.discard(response)
        self._source.decoded(chunk.index)
        self._recorder.add(
            "infer", "transfer", frames.chunk, frames.decoded_s, frames.arrival_s, frames.nbytes
        )
        return frames

    async def _fetch(self, frames: ObjectRef) -> None:
        """Have the model's node bring the frames over while others are still decoded."""
        response = self._send(self._inference.fetch, [frames])
        self._fetched += await response
        self._running.discard(response)

    async def _reference(self, response: Response, nbytes: int) -> ObjectRef:
        """The frames, of ``nbytes`` at least, by reference: once they exist, and without fetching them.

        Not by passing the response itself to the model: Serve waits for it by ``ObjectRef._ready()``, which
        leaves a reference cycle behind (Ray 2.60), so frames would fill the stores until a full garbage
        collection. What is smaller than the frames is an error: to await it fetches nothing worth
        mentioning, and raises it now, not after all other chunks are decoded. (Frames' size is known as soon
        as they exist; where they lie, at times, is not. Where a decoder died nothing is known, and the
        model's call raises it.)
        """
        reference = await response_reference(response)
        await object_existence(reference)
        size = object_size(reference)
        if size is not None and size < nbytes:
            await response
        return reference

    async def _infer_each(self, handoffs: list[Frames]) -> list[InferenceReply]:
        """Each chunk's frames on their own, as many at a time as the window has places."""

        async def next_in_window() -> InferenceReply:
            async with self._window:
                return await self._infer([handoffs.pop(0)])

        async with _FirstErrorGroup() as group:
            tasks = [group.create_task(next_in_window()) for _ in handoffs]
        return [task.result() for task in tasks]

    async def _infer(self, handoffs: list[Frames]) -> InferenceReply:
        """One call over all the frames; empties ``handoffs``, or this process would hold relayed frames in
        its node's store until the reply."""
        call = InferenceCall(
            sent_s=time.time(),
            sender=self._recorder.replica,
            is_combined=self._combined,
            is_relayed=self._relayed,
            is_deferred=self._held,
            is_prefetched=self._fetches,
        )
        for span in self._fetched:
            self._recorder.add("infer", "queue", span.chunk, span.end_s, call.sent_s)
        self._recorder.spans += self._fetched
        if self._relayed:
            for frames in handoffs:
                self._recorder.add("infer", "queue", frames.chunk, frames.arrival_s, call.sent_s)
            del frames
        response = self._send(self._inference.infer, call, *handoffs)
        handoffs.clear()
        reply: InferenceReply = await response
        self._running.discard(response)
        return reply

    def _send(self, method: Handle, *arguments: object) -> Response:
        response = method.remote(*arguments)
        self._running.add(response)
        return response


class _FirstErrorGroup(asyncio.TaskGroup):
    """A task group that raises the first task's error itself, not a group of one."""

    async def __aexit__(self, *exception: Any) -> None:
        try:
            await super().__aexit__(*exception)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
