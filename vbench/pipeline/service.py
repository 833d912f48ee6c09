"""VideoProcessingService: takes each video through the pipeline, and writes the response."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ray
from ray.exceptions import RayTaskError

from vbench.pipeline.admission import Admission, to_its_end
from vbench.pipeline.api_schema import ProcessRequest
from vbench.pipeline.chunk_source import ChunkSource
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.errors import cause_of
from vbench.pipeline.fetch_slots import FetchSlots
from vbench.pipeline.frame_size import frame_geometry
from vbench.pipeline.health import Health
from vbench.pipeline.memory_budget import (
    FramesBudget,
    capacity_bytes,
    check_packets,
    footprint,
    packets_capacity_bytes,
)
from vbench.pipeline.replica import CallReport, Reporter
from vbench.pipeline.request_flow import Flow
from vbench.pipeline.request_settings import RequestSettings
from vbench.pipeline.request_video import Opening, SharedReaders
from vbench.pipeline.response import assemble
from vbench.pipeline.spans import SpanRecorder
from vbench.ray_internals.objects import by_reference
from vbench.video.reader.pool import ReaderServer, SplitVideo
from vbench.video.types import FrameGeometry

HEALTH_TIMEOUT_S = 2.0
"""For a replica of a stage to respond."""


class VideoProcessingService:
    """Splits videos and orchestrates decoding and inference; it does not touch pixels itself."""

    def __init__(self, args: PipelineArgs, decoder: Any, inference: Any) -> None:
        """``decoder`` and ``inference`` are the handles of VideoDecoder and ModelInference."""
        self._args = args
        self._reporter = Reporter(
            args.deployment_id,
            {"at_once": args.requests_at_once, "frames_budget_mb": args.frames_budget_mb},
        )
        self._replica = self._reporter.replica
        # What is handed on directly is a reference, whatever Serve's handles pass by default.
        relayed = args.handoff == "relay"
        self._decoder = decoder if relayed else by_reference(decoder)
        self._inference = inference if relayed else by_reference(inference)
        nodes = ray.nodes()
        self._nodes = sum(node["Alive"] for node in nodes)
        # Some of the requests in progress never fetch: a place to wait is one less for these.
        places = max(0, (args.requests_at_once - args.fetches_at_once) // 2)
        self._means = SharedReaders(
            fetches=FetchSlots(args.fetches_at_once, places),
            readers=ReaderServer(),
            packets=FramesBudget(packets_capacity_bytes(args, nodes)),
        )
        self._means.readers.start()
        self._budget = FramesBudget(capacity_bytes(args, nodes))
        # The APIs send no more than all services have slots for. One that gets more than its share, or whose
        # slots are held by work that ends after its client left, has them wait here.
        self._admission = Admission(
            slots=args.requests_at_once,
            queue_length=args.queue_length + 2 * args.requests_at_once * args.service.replicas,
        )
        stages = {
            "VideoDecoder": (decoder.ping.remote, args.decoder.replicas),
            "ModelInference": (inference.ping.remote, args.inference.replicas),
        }
        self._health = Health(stages, timeout_s=HEALTH_TIMEOUT_S)

    async def silent_stages(self) -> list[str]:
        """The deployments behind this one that have no replica that responds."""
        return await self._health.silent()

    async def process(self, request: ProcessRequest, received_s: float, api: CallReport) -> bytes:
        """The response as JSON, see ``Answer``.

        ``received_s``: unix seconds at which the API received the request; ``api``: the API's report.

        Raises VideoError and its subclasses for problems with the video; IncompleteError if a frame is
        missing; OverloadedError; Ray's errors if a replica is lost. When cancelled it returns at once; its
        slot is free once its work has ended.
        """
        return await self._admission.run(lambda: self._answer(request, received_s, api))

    async def _answer(self, request: ProcessRequest, received_s: float, api: CallReport) -> bytes:
        recorder = SpanRecorder(self._replica)
        recorder.add("chunk", "queue", None, received_s, time.time())
        own = self._reporter.report(
            self._reporter.next_number(), load_report={"at_once": self._admission.slots}
        )
        reports = [api, own]
        job = RequestSettings.of(request, self._args)
        opening = Opening(request.video, job, self._means)
        try:
            return await self._process(job, opening, received_s, recorder, reports)
        except RayTaskError as error:
            raise cause_of(error) from None

    async def _process(
        self,
        job: RequestSettings,
        opening: Opening,
        received_s: float,
        recorder: SpanRecorder,
        reports: list[CallReport],
    ) -> bytes:
        async with ChunkSource(opening.splitter, self._means.packets) as source:
            if opening.local.checksum is not None:
                nbytes = opening.local.size_bytes
                recorder.add("chunk", "transfer", None, opening.fetch_start_s, opening.fetch_end_s, nbytes)
            recorder.add("chunk", "compute", None, opening.fetch_end_s, source.opened_end_s)
            check_packets(source.splitter, self._means.packets.capacity)
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
        return await to_its_end(
            asyncio.to_thread(
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
        )

    @asynccontextmanager
    async def _admitted(
        self, job: RequestSettings, splitter: SplitVideo, geometry: FrameGeometry, recorder: SpanRecorder
    ) -> AsyncIterator[None]:
        """Reserve room in the object stores for the frames that this request holds at a time."""
        held = footprint(job, splitter, geometry)
        wanted_s = time.time()
        async with self._budget.hold(held):
            recorder.add("chunk", "queue", None, wanted_s, time.time())
            yield
