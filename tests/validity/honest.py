"""Records as an honest trial leaves them: a closed loop of requests through a pipeline, simulated."""

import heapq
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.support import records
from vbench.config.schema import Config
from vbench.pipeline.reports import CallWork, ReplicaReport
from vbench.record.clip import Clip
from vbench.record.load_report import Connections, Graph, Listener, LoadReport, NodeRuntime, PlacedReplica
from vbench.record.measurements import Measurements
from vbench.record.network import Link, Network
from vbench.record.requests import Request, SpanLine
from vbench.record.samples import MachineSample
from vbench.validity.as_configured import expected_of_replicas, expected_settings

UNIX_S = 1.7e9
"""The simulated client's wall clock is ahead of its monotonic one by so much."""

FRAME_BYTES = 1000
VIDEO_S = 4.0
IDENTITY = "0123456789abcdef"
FINGERPRINT = "f" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the rules are given."""

    config: Config
    load_report: LoadReport
    requests: list[Request]
    spans: list[SpanLine]
    machines: list[MachineSample]
    clip: Clip
    network: Network | None = None

    @property
    def measured(self) -> Measurements:
        """The lines of the record."""
        return Measurements(
            requests=self.requests, spans=self.spans, machines=self.machines, network=self.network
        )

    @property
    def graph(self) -> Graph:
        assert self.load_report.graph is not None
        return self.load_report.graph

    def with_graph(self, **changes: Any) -> "Record":
        return replace(self, load_report=replace(self.load_report, graph=replace(self.graph, **changes)))

    def with_request(self, index: int, **changes: Any) -> "Record":
        return replace(
            self, requests=[replace(r, **changes) if r.index == index else r for r in self.requests]
        )


def record(
    *,
    requests: int = 6,
    concurrency: int = 2,
    mode: str = "chunked",
    handoff: str = "direct",
    chunks: int = 3,
    window: int = 4,
    warm_up: int = 2,
    seed: int = 1,
    shaped: bool = False,
    client_late_s: tuple[float, float] = (0.0, 0.0),
) -> Record:
    """A trial of so many requests; ``shaped``: on two nodes with links between them; ``client_late_s``: what
    the client waits before it sends a request, and before it reads the answer."""
    config = records.config()
    config.load.requests, config.load.concurrency = requests, min(concurrency, requests)
    config.mode, config.pipeline.handoff = mode, handoff
    config.pipeline.chunk_s, config.pipeline.window = VIDEO_S / chunks, window
    config.cluster.deployments.decoder.replicas = 1
    simulated = _Simulation(config, chunks, warm_up, random.Random(seed), shaped=shaped)
    simulated.client_late_s = client_late_s
    simulated.run(requests, concurrency)
    return simulated.record()


class _Simulation:
    """Serves one chunk after another; draws how long each step takes."""

    def __init__(
        self, config: Config, chunks: int, warm_up: int, draw: random.Random, *, shaped: bool
    ) -> None:
        self._config, self._chunks, self._warm_up, self._draw = config, chunks, warm_up, draw
        self._front, self._back = ("service", "model") if shaped else ("head", "head")
        self._shaped = shaped
        self.client_late_s = (0.0, 0.0)
        self._decoder_free_s = self._model_free_s = 0.0
        self._numbers: Counter[str] = Counter()
        self._passes = 1  # the first warmed the model up
        self._requests: list[Request] = []
        self._spans: list[SpanLine] = []

    def run(self, count: int, concurrency: int) -> None:
        for name in ("VideoProcessingAPI#a", "VideoProcessingService#s"):
            self._numbers[name] = self._warm_up
        start_s = 100.0
        free = [(start_s, start_s)] * min(concurrency, count)
        for index in range(count):
            _, due_s = heapq.heappop(free)
            done_s = self._request(index, due_s)
            heapq.heappush(free, (done_s, done_s))

    def _took(self, most_s: float) -> float:
        return self._draw.uniform(0.1, 1.0) * most_s

    def _request(self, index: int, due_s: float) -> float:
        sends_late_s, reads_late_s = self.client_late_s
        sent_s = due_s + self._took(0.001) + sends_late_s
        received_s = sent_s + self._took(0.004)
        calls: dict[str, list[tuple[int, int, int]]] = {}
        self._call(calls, "VideoProcessingAPI#a")
        self._call(calls, "VideoProcessingService#s")
        at_s = received_s + self._took(0.01)
        self._span(index, "chunk", "queue", None, received_s, at_s)
        opened_s = at_s + self._took(0.02)
        self._span(index, "chunk", "compute", None, at_s, opened_s)
        at_s, decoded, done = opened_s, [], []
        window = self._config.pipeline.window
        for chunk in range(self._chunks):
            places = decoded if self._config.mode == "combined" else done
            if chunk >= window:
                at_s = max(at_s, sorted(places)[chunk - window])
            split_s = at_s + self._took(0.01)
            self._span(index, "chunk", "compute", chunk, at_s, split_s)
            decoded.append(self._decode(index, chunk, split_s))
            self._call(calls, "VideoDecoder#d", frames=4)
            at_s = split_s
            if self._config.mode == "chunked":
                done.append(self._infer(index, [(chunk, decoded[-1])]))
                self._call(calls, "ModelInference#m", frames=4, batches=1)
        if self._config.mode == "combined" and decoded:
            done.append(self._infer(index, list(enumerate(decoded))))
            frames, size = 4 * self._chunks, self._config.model.batch_size
            self._call(calls, "ModelInference#m", frames=frames, batches=-(-frames // size))
        finished_s = max(done, default=opened_s) + self._took(0.01)
        done_s = finished_s + self._took(0.01) + reads_late_s
        self._requests.append(self._line(index, due_s, sent_s, done_s, received_s, finished_s, calls))
        return done_s

    def _decode(self, index: int, chunk: int, sent_s: float) -> float:
        arrived_s = sent_s + self._took(0.01)
        start_s = max(arrived_s, self._decoder_free_s)
        end_s = self._decoder_free_s = start_s + 0.05 + self._took(0.2)
        self._span(index, "decode", "transfer", chunk, sent_s, arrived_s, 500)
        self._span(index, "decode", "queue", chunk, arrived_s, start_s)
        self._span(index, "decode", "compute", chunk, start_s, end_s)
        return end_s

    def _infer(self, index: int, chunks: list[tuple[int, float]]) -> float:
        frames_bytes = 4 * (FRAME_BYTES + 8)
        combined, relayed = self._config.mode == "combined", self._config.pipeline.handoff == "relay"
        sent_s = max(decoded_s for _, decoded_s in chunks)
        if relayed:
            for chunk, decoded_s in chunks:
                over_s = decoded_s + self._took(0.02)
                service = {"replica": "VideoProcessingService#s", "node": self._front}
                self._span(index, "infer", "transfer", chunk, decoded_s, over_s, frames_bytes, **service)
                sent_s = max(sent_s, over_s)
        # A frame takes its time on a link of 10 Mbit/s.
        nbytes = frames_bytes * len(chunks)
        arrived_s = sent_s + 0.001 + (nbytes * 8 / 10e6 if self._shaped else self._took(0.02))
        start_s = max(arrived_s, self._model_free_s)
        end_s = self._model_free_s = start_s + len(chunks) * (0.05 + self._took(0.1))
        name = None if combined else chunks[0][0]
        self._span(index, "infer", "transfer", name, sent_s, arrived_s, nbytes)
        self._span(index, "infer", "queue", name, arrived_s, start_s)
        self._span(index, "infer", "compute", name, start_s, end_s)
        return end_s

    def _call(
        self, calls: dict[str, list[tuple[int, int, int]]], replica: str, frames: int = 0, batches: int = 0
    ) -> None:
        self._numbers[replica] += 1
        calls.setdefault(replica, []).append((self._numbers[replica], frames, batches))

    def _span(
        self,
        index: int,
        stage: str,
        kind: str,
        chunk: int | None,
        start_s: float,
        end_s: float,
        nbytes: int = 0,
        **where: str,
    ) -> None:
        replica = where.get(
            "replica",
            {"chunk": "VideoProcessingService#s", "decode": "VideoDecoder#d", "infer": "ModelInference#m"}[
                stage
            ],
        )
        self._spans.append(
            SpanLine(
                request=index,
                stage=stage,
                kind=kind,
                chunk=chunk,
                node=where.get("node", self._nodes[replica]),
                replica=replica,
                start_s=UNIX_S + start_s,
                end_s=UNIX_S + end_s,
                bytes=nbytes,
            )
        )

    @property
    def _nodes(self) -> Mapping[str, str]:
        return {
            "VideoProcessingAPI#a": self._front,
            "VideoProcessingService#s": self._front,
            "VideoDecoder#d": self._front,
            "ModelInference#m": self._back,
        }

    def _line(
        self,
        index: int,
        due_s: float,
        sent_s: float,
        done_s: float,
        received_s: float,
        finished_s: float,
        calls: Mapping[str, list[tuple[int, int, int]]],
    ) -> Request:
        frames = 4 * self._chunks
        settings = expected_of_replicas(self._config)
        return records.request(
            index,
            scheduled_s=due_s,
            sent_s=sent_s,
            done_s=done_s,
            sent_unix_s=UNIX_S + sent_s,
            frames_expected=frames,
            frames_got=frames,
            api_requests=self._numbers["VideoProcessingAPI#a"],
            proxy_requests=self._numbers["VideoProcessingAPI#a"],
            frame_bytes=frames * FRAME_BYTES,
            video_s=VIDEO_S,
            video=f"video {index % 3}",
            detections_repeated=0,
            received_s=UNIX_S + received_s,
            finished_s=UNIX_S + finished_s,
            settings=expected_settings(self._config) | {"model_fingerprint": FINGERPRINT},
            replicas=[
                ReplicaReport(
                    replica=replica,
                    node=self._nodes[replica],
                    deployment_id=IDENTITY,
                    settings=settings.get(replica.partition("#")[0], {}),
                    calls=numbers,
                    work=[self._work(replica, call) for call in numbers if call[1]],
                )
                for replica, numbers in calls.items()
            ],
        )

    def _work(self, replica: str, call: tuple[int, int, int]) -> CallWork:
        """What a decoder or a model saw of a call; no two calls share a batch."""
        number, frames, batches = call
        if not batches:
            return CallWork(call=number, decoder_cpu_ms=frames * (20 + self._took(40)))
        size = self._config.model.batch_size
        sizes = [min(size, frames - start) for start in range(0, frames, size)]
        first, self._passes = self._passes + 1, self._passes + batches
        return CallWork(
            call=number,
            passes=list(zip(range(first, first + batches), sizes, strict=True)),
            pass_cpu_ms=15 + self._took(10),
        )

    def _clip(self) -> Clip:
        return replace(
            records.clip(),
            fingerprint="video 0",
            duration_s=VIDEO_S,
            frames_expected=4 * self._chunks,
            variants=[{"fingerprint": f"video {number}"} for number in (1, 2)],
            served_detector=FINGERPRINT,
            checks=[
                replace(records.checks(), video=f"video {number}", frames_moved=4 * self._chunks - 1)
                for number in range(3)
            ],
        )

    def record(self) -> Record:
        first_s = min(one.scheduled_s for one in self._requests)
        last_s = max(one.done_s for one in self._requests)
        placed = [PlacedReplica(replica=replica, node=node) for replica, node in sorted(self._nodes.items())]
        one = dict.fromkeys(sorted({replica.deployment for replica in placed}), 1)
        graph = Graph(
            deployment_id=IDENTITY,
            listeners=[Listener(pid=7, command="ray::ProxyActor", own=True, present_percent=100.0)],
            replicas_before=placed,
            replicas_after=placed,
            replicas_configured=one,
            model_fingerprint=FINGERPRINT,
            served_before={"VideoProcessingAPI#a": self._warm_up} if self._warm_up else {},
            warm_up_requests=self._warm_up,
            proxy_served_before=self._warm_up,
            compute_alone_s={"decode": 0.02, "infer": 0.02},
            compute_first_s={"decode": 0.05, "infer": 0.05},
        )
        load_report = LoadReport(
            ray_version="2.60.0",
            ray_commit="abc",
            phases_s={"measure": last_s - first_s + 0.1},
            flags_requested={},
            flags_found=[NodeRuntime(node="head", raylet_pid=1, flags={})],
            placement={replica.deployment: {replica.node: 1} for replica in placed},
            connections=[
                Connections(
                    sender=self._front, receiver=self._back, expected=2, established=2, moved_bytes=10**8
                )
            ]
            if self._shaped
            else [],
            oom_kills=0,
            unsent_requests=0,
            graph=graph,
        )
        links = [Link(node=name, nic_mbps=20.0, flow_mbps=5.0) for name in (self._front, self._back)]
        network = Network(scale=100.0, congestion_control="cubic", links=links, checks=[])
        return Record(
            config=self._config,
            load_report=load_report,
            requests=self._requests,
            spans=self._spans,
            machines=[records.machine(first_s - 0.01), records.machine(last_s + 0.01)],
            clip=self._clip(),
            network=network if self._shaped else None,
        )
