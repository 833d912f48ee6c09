"""Before any cluster is up: the clip is made or checked, its reference pass taken, its memory added up."""

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import xxhash

from vbench.errors import InputError
from vbench.graph import pipeline_args
from vbench.load.events import progress
from vbench.load.job import PREPARED, Job
from vbench.load.reference import ensure_reference
from vbench.models.protocol import Detector, ModelError
from vbench.models.registry import create
from vbench.pipeline.answer import ProcessRequest
from vbench.pipeline.budget import capacity_bytes
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.footprint import footprint, frame_geometry
from vbench.pipeline.job import Job as Request
from vbench.record import Clip, write_json
from vbench.schema import Config
from vbench.sizing import machine_cpus, node_cpus
from vbench.video.errors import ToolMissingError, VideoError
from vbench.video.ffmpeg import ffmpeg_path, ffmpeg_version
from vbench.video.probe import probe
from vbench.video.scene import SceneTruth, ensure_clip, load_truth
from vbench.video.scene_settings import SceneSettings
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry, VideoInfo


def prepare(job: Job) -> Clip:
    """Make ready everything that needs no cluster; InputError, in one sentence, for what cannot be used."""
    try:
        detector = _detector(job.config)
        return _prepare(job, detector)
    except (VideoError, ModelError, ToolMissingError) as error:
        raise InputError(str(error)) from error


def _detector(config: Config) -> Detector:
    args = pipeline_args(config)
    detector = create(args.model.settings(threads=machine_cpus()))
    detector.load()
    return detector


def _prepare(job: Job, detector: Detector) -> Clip:
    config = job.config
    args = pipeline_args(config)
    cache = Path(config.outputs) / "cache"
    clip, truth = _clip(config, cache)
    info = probe(clip)
    fingerprint = _fingerprint(clip)

    def geometry(of: VideoInfo) -> FrameGeometry:
        return frame_geometry(args, of)

    _check_memory(config, args, clip)
    path, reference = ensure_reference(
        clip,
        fingerprint,
        Fraction(config.pipeline.fps),
        geometry,
        detector,
        truth,
        cache / "reference",
        lambda done, total: progress("reference pass", done, total),
    )
    prepared = Clip(
        path=str(clip),
        fingerprint=fingerprint,
        codec=info.codec,
        width=info.width,
        height=info.height,
        duration_s=info.duration_s,
        size_bytes=info.size_bytes,
        frames_expected=len(reference.frames),
        reference=str(path),
        ffmpeg=ffmpeg_version(ffmpeg_path()),
        reference_map50=reference.map50,
    )
    write_json(job.folder / PREPARED, prepared)
    return prepared


def _clip(config: Config, cache: Path) -> tuple[Path, SceneTruth | None]:
    scene = config.video.scene
    if scene is None:
        return Path(config.video.path or "").expanduser().resolve(), None
    clip = ensure_clip(
        SceneSettings(**asdict(scene)),
        cache / "scenes",
        lambda done, total: progress("rendering the scene", done, total),
    )
    return clip.resolve(), load_truth(clip)


def _check_memory(config: Config, args: PipelineArgs, clip: Path) -> None:
    """VideoTooLargeError, with the arithmetic, where one request's frames could never be held."""
    request = Request.of(ProcessRequest(video=str(clip)), args)
    nodes = [
        {
            "Alive": True,
            "Resources": {
                "CPU": node_cpus(node),
                "GPU": node.gpus,
                "object_store_memory": node.object_store_mb * 1e6,
                **node.resources,
            },
        }
        for node in config.cluster.nodes.values()
    ]
    with Splitter(clip, fps=request.fps, chunk_s=request.chunk_s) as splitter:
        held = footprint(request, splitter, frame_geometry(args, splitter.info))
    held.check(capacity_bytes(args, nodes))


def _fingerprint(clip: Path) -> str:
    digest = xxhash.xxh3_128()
    with clip.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
