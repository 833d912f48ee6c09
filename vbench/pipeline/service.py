"""VideoProcessingService: takes one video at a time through the pipeline, and writes the answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ray
from ray.exceptions import RayTaskError

from vbench.pipeline.answer import ProcessRequest
from vbench.pipeline.assemble import assemble
from vbench.pipeline.budget import FramesBudget, capacity_bytes
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.errors import cause_of
from vbench.pipeline.flow import Flow
from vbench.pipeline.footprint import footprint
from vbench.pipeline.geometry import frame_geometry
from vbench.pipeline.job import Job
from vbench.pipeline.opening import Opening
from vbench.pipeline.replica import Report, Reporter
from vbench.pipeline.source import ChunkSource
from vbench.pipeline.spans import SpanRecorder
from vbench.video.errors import VideoError
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry


class VideoProcessingService:
    """Splits videos and sends their chunks and frames on their way; computes nothing on pixels itself."""

    def __init__(self, args: PipelineArgs, decoder: Any, inference: Any) -> None:
        """``decoder`` and ``inference`` are the handles of VideoDecoder and ModelInference."""
        self._args = args
        self._reporter = Reporter(args.deployment_id, {})
        self._place = self._reporter.place
        self._decoder = decoder
        self._inference = inference
        nodes = ray.nodes()
        self._nodes = sum(node["Alive"] for node in nodes)
        self._budget = FramesBudget(capacity_bytes(args, nodes))

    async def process(self, request: ProcessRequest, received_s: float, api: Report) -> bytes:
        """The answer as JSON, see ``Answer``. ``received_s``: when the API had the request, unix seconds;
        ``api``: its report.

        Raises VideoError and its kinds for what is wrong with the video; IncompleteError rather than answer
        with less than every frame; what Ray raises where a replica is lost.
        """
        recorder = SpanRecorder(self._place)
        recorder.add("chunk", "queue", None, received_s, time.time())
        reports = [api, self._reporter.report(self._reporter.number())]
        job = Job.of(request, self._args)
        opening = Opening(request.video, job)
        try:
            return await self._process(job, opening, received_s, recorder, reports)
        except RayTaskError as error:
            raise opening.named(cause_of(error)) from None
        except VideoError as error:
            raise opening.named(error) from None

    async def _process(
        self, job: Job, opening: Opening, received_s: float, recorder: SpanRecorder, reports: list[Report]
    ) -> bytes:
        async with ChunkSource(opening.splitter) as source:
            if opening.local.checksum is not None:
                nbytes = opening.local.size_bytes
                recorder.add("chunk", "transfer", None, opening.fetch_start_s, opening.fetch_end_s, nbytes)
            recorder.add("chunk", "compute", None, opening.fetch_end_s, source.opened_end_s)
            info = source.splitter.info
            geometry = frame_geometry(self._args, info)
            async with self._admitted(job, source.splitter, geometry, recorder):
                flow = Flow(
                    args=self._args,
                    mode=job.mode,
                    geometry=geometry,
                    decoder=self._decoder,
                    inference=self._inference,
                    source=source,
                    recorder=recorder,
                    nodes=self._nodes,
                )
                replies = await flow.run()
        return await asyncio.to_thread(
            assemble,
            job=job,
            info=info,
            local=opening.local,
            chunks=flow.chunks,
            replies=replies,
            spans=recorder.spans,
            reports=reports,
            received_s=received_s,
            finished_s=time.time(),
        )

    @asynccontextmanager
    async def _admitted(
        self, job: Job, splitter: Splitter, geometry: FrameGeometry, recorder: SpanRecorder
    ) -> AsyncIterator[None]:
        """Have room in the object stores for the frames that this request holds at a time."""
        held = footprint(job, splitter, geometry)
        wanted_s = time.time()
        async with self._budget.hold(held):
            recorder.add("chunk", "queue", None, wanted_s, time.time())
            yield
