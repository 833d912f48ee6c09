"""Helpers: a Ray cluster, services deployed on it, and the same work done without Ray."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray
import requests
from ray import cluster_utils, serve
from ray.serve.config import HTTPOptions

from vbench.linux.ports import free_ports
from vbench.models.registry import create
from vbench.pipeline import build
from vbench.pipeline.api_schema import Answer, Detection
from vbench.pipeline.config import PipelineArgs
from vbench.ray_internals.node import session_folder
from vbench.ray_internals.node_manager import NodeManagerClient, ObjectStoreStats
from vbench.video.digest import frame_digests
from vbench.video.frames import decode_video
from vbench.video.types import FrameGeometry, VideoInfo

DEADLINE_S = 60.0
STORE_BYTES = 200_000_000


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running pipeline."""

    url: str

    def post(self, body: object, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.post(f"{self.url}/v1/videos:process", json=body, timeout=DEADLINE_S, **options)

    def ask(self, video: Path, **fields: object) -> Answer:
        response = self.post({"video": str(video), **fields})
        assert response.status_code == 200, response.text
        return Answer.model_validate_json(response.text)

    def refusal(self, **body: object) -> tuple[int, str]:
        """Status and sentence."""
        response = self.post(body)
        return response.status_code, response.json()["detail"]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Two Ray nodes on this machine, with Serve started on them: API and services on the front one, which is
    the head, decoders and model on the back one."""

    temp_dir: Path
    port: int
    front: str
    """Node ids."""
    back: str

    @classmethod
    @contextmanager
    def start(cls, temp_dir: Path, port: int) -> Iterator["Cluster"]:
        size: dict[str, Any] = {"num_cpus": 2, "object_store_memory": STORE_BYTES}
        nodes = cluster_utils.Cluster()
        try:
            nodes.add_node(temp_dir=str(temp_dir), include_dashboard=False, resources={"front": 1}, **size)
            nodes.add_node(resources={"back": 1}, **size)
            ray.init(nodes.address, logging_level="warning", log_to_driver=False)
            serve.start(proxy_location="HeadOnly", http_options=HTTPOptions(host="127.0.0.1", port=port))
            ids = {name: node["NodeID"] for node in ray.nodes() for name in node["Resources"]}
            yield cls(temp_dir=temp_dir, port=port, front=ids["front"], back=ids["back"])
        finally:
            serve.shutdown()
            ray.shutdown()
            nodes.shutdown()

    def store(self, node_id: str) -> ObjectStoreStats:
        """The object store of a node."""
        node = next(node for node in ray.nodes() if node["NodeID"] == node_id)
        raylet = NodeManagerClient(node["NodeManagerAddress"], node["NodeManagerPort"])
        try:
            return raylet.object_store_stats(DEADLINE_S)()
        finally:
            raylet.close()

    def replica_processes(self, deployment: str) -> list[psutil.Process]:
        title = f"ray::ServeReplica:vbench:{deployment}"
        children = psutil.Process().children(recursive=True)
        # While a replica is in a call, its title ends with a dot and the method's name.
        return [child for child in children if _title(child).split(".")[0] == title]

    @contextmanager
    def deployed(self, **args: Any) -> Iterator[Service]:
        """The pipeline with these arguments, for as long as the context lasts."""
        serve.run(build(pipeline_args(**args)), name="vbench", route_prefix="/")
        try:
            yield Service(url=f"http://127.0.0.1:{self.port}")
        finally:
            serve.delete("vbench")

    def log_lines(self, deployment: str, text: str) -> list[str]:
        """Lines of the logs of a deployment's replicas that hold ``text``."""
        logs = (session_folder(self.temp_dir) / "logs" / "serve").glob(f"replica_*{deployment}*.log")
        return [line for log in logs for line in log.read_text().splitlines() if text in line]


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Two nodes of 2 CPUs and 200 MB of object store each, and Serve's proxy on a free port."""
    # Ray's sockets lie in its temp dir, and a socket's path has room for 107 bytes.
    temp_dir = Path(tempfile.mkdtemp(prefix="vp", dir="/tmp"))
    # Where Ray notes the address of a cluster that it started in-process; it does not make this folder.
    (temp_dir / "ray").mkdir()
    environment = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_TMPDIR": str(temp_dir),
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        (port,) = free_ports("127.0.0.1", 1)
        with Cluster.start(temp_dir, port) as running:
            yield running
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        shutil.rmtree(temp_dir, ignore_errors=True)


def pipeline_args(**changes: Any) -> PipelineArgs:
    """Arguments for the two nodes and the clip: 6 chunks of 4 frames, two chunks at a time."""
    worker = {"cpus": 0.5, "resources": {"back": 0.01}}
    args: dict[str, Any] = {
        "chunk_s": 2,
        "fps": 2,
        "window": 2,
        "roots": [tempfile.gettempdir()],
        "service": {"resources": {"front": 0.01}},
        "decoder": worker,
        "inference": worker,
    }
    return PipelineArgs.model_validate(args | changes)


def _title(process: psutil.Process) -> str:
    try:
        return process.cmdline()[0]
    except (psutil.NoSuchProcess, IndexError):  # it ended meanwhile, or is about to
        return ""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What one pass over the whole file gives, without splitter and without Ray."""

    pts: list[int]
    digests: list[str]
    detections: list[list[Detection]]


def reference_pass(
    video: Path, args: PipelineArgs, geometry: Callable[[VideoInfo], FrameGeometry], fps: Fraction
) -> Reference:
    detector = create(args.model)
    detector.load()
    pts: list[int] = []
    digests: list[str] = []
    detections: list[list[Detection]] = []
    for frames in decode_video(video, fps=fps, geometry=geometry, threads=1, timeout_s=DEADLINE_S):
        pts += frames.pts.tolist()
        digests += frame_digests(frames)
        for found in detector.detect(frames.pixels):
            boxes = frames.geometry.to_source(found.boxes)
            rows = zip(found.classes.tolist(), found.scores.tolist(), boxes.tolist(), strict=True)
            detections.append(
                [Detection(class_name=detector.class_names[c], score=s, box=b) for c, s, b in rows]
            )
    return Reference(pts=pts, digests=digests, detections=detections)


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def assert_same_detections(got: Sequence[Detection], expected: Sequence[Detection]) -> None:
    """One to one: same class, IoU at least 0.99, scores within 0.01."""
    assert len(got) == len(expected)
    left = list(expected)
    for one in got:
        twin = max(left, key=lambda other: (other.class_name == one.class_name, iou(one.box, other.box)))
        assert one.class_name == twin.class_name
        assert iou(one.box, twin.box) >= 0.99
        assert np.isclose(one.score, twin.score, atol=0.01)
        left.remove(twin)
