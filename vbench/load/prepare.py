"""What needs no cluster: makes or checks the clip, takes its reference pass, adds up its memory."""

from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vbench.clusters.attached.validate import ATTACHED
from vbench.config.schema import Config
from vbench.config.sizing import machine_cpus, node_resources
from vbench.config.transfer import TRANSFER
from vbench.config.workload import APP, workload_of
from vbench.errors import InputError
from vbench.load.calibrate import compute_alone_s
from vbench.load.events import note, progress
from vbench.load.known_scene import KnownScene
from vbench.load.pipeline_args import pipeline_args
from vbench.load.reference import Reference, ensure_reference
from vbench.load.spec import PREPARED, LoadSpec
from vbench.load.video_copy import local_copy
from vbench.models.protocol import Detector, ModelError
from vbench.models.registry import create
from vbench.models.settings import ModelSettings
from vbench.pipeline.api_schema import ProcessRequest
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.frame_size import frame_geometry
from vbench.pipeline.memory_budget import capacity_bytes, footprint
from vbench.pipeline.request_settings import RequestSettings
from vbench.record.clip import Clip
from vbench.record.files import write_json
from vbench.video.addresses import is_remote
from vbench.video.cross_check.container_periods import periods_filled
from vbench.video.digest import file_digest
from vbench.video.errors import ToolMissingError, VideoError
from vbench.video.ffmpeg.executable import ffmpeg_path, ffmpeg_version
from vbench.video.scene import ensure_clip, load_truth
from vbench.video.scenes.rotate import ensure_rotated, first_frame
from vbench.video.scenes.settings import SceneSettings
from vbench.video.types import FrameGeometry

LARGEST_VARIED_BYTES = 512 * 2**20
"""Packets of a scene that is varied are held in memory."""


def prepare(job: LoadSpec) -> Clip | None:
    """Prepare everything that needs no cluster; InputError for an input that cannot be used.

    None for a load without video.
    """
    workload = workload_of(job.config)
    if workload in (TRANSFER, APP):
        return None
    try:
        return _prepare(job)
    except (VideoError, ModelError, ToolMissingError) as error:
        raise InputError(str(error)) from error


def _prepare(job: LoadSpec) -> Clip:
    config = job.config
    args = pipeline_args(config)
    detector_settings = _reference_settings(config, args)
    # The faster check comes first: rendering a scene takes longer than loading a model, reading a file less.
    model = None if config.video.scene is None else _loaded(detector_settings)
    cache = Path(config.outputs) / "cache"
    clip, known = _clip(config, cache)
    request = RequestSettings.of(ProcessRequest(video=str(clip)), args)
    with request.splitter(clip) as splitter:
        info = splitter.info
        geometry = frame_geometry(args, info)
        footprint(request, splitter, geometry).check(capacity_bytes(args, _nodes(config)))
        expected = len(splitter.sampled_pts)
    detector = model or _loaded(detector_settings)
    fingerprint = file_digest(clip)
    path, reference = ensure_reference(
        info,
        fingerprint,
        request,
        geometry,
        detector,
        known,
        cache / "reference",
        lambda done: progress("reference pass", done, expected),
    )
    is_attached = config.cluster.name == ATTACHED
    variants: list[tuple[dict[str, str], Reference]] = []
    if known is not None and not is_attached:
        variants = _variants(config, clip, known, request, geometry, detector, expected, cache)
    prepared = Clip(
        path=str(clip),
        address=config.video.path if is_remote(config.video.path or "") else None,
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
        detector=detector.fingerprint,
        served_detector=create(args.model, threads=args.inference.threads).fingerprint,
        variants=[variant for variant, _ in variants],
        checks=[one.checks for one in (reference, *(by_variant for _, by_variant in variants)) if one.checks],
        compute_s={} if is_attached else compute_alone_s(request, clip, geometry, detector_settings),
        periods_filled=periods_filled(clip, request.fps),
    )
    write_json(job.folder / PREPARED, prepared)
    return prepared


def _loaded(settings: ModelSettings) -> Detector:
    detector = create(settings, threads=machine_cpus())
    detector.load()
    return detector


def _reference_settings(config: Config, args: PipelineArgs) -> ModelSettings:
    """The trial's model; on the CPU if the GPUs are on another machine."""
    if config.cluster.name == ATTACHED:
        return replace(args.model, device="cpu", compile=False)
    return args.model


def _clip(config: Config, cache: Path) -> tuple[Path, KnownScene | None]:
    scene = config.video.scene
    if scene is None:
        return local_copy(config.video, cache / "fetched"), None
    settings = SceneSettings(**asdict(scene))
    clip = ensure_clip(
        settings,
        cache / "scenes",
        lambda done, total: progress("rendering the scene", done, total),
        note,
    )
    return clip.resolve(), KnownScene(settings=settings, truth=load_truth(clip))


def _variants(
    config: Config,
    clip: Path,
    known: KnownScene,
    request: RequestSettings,
    geometry: FrameGeometry,
    detector: Detector,
    expected: int,
    cache: Path,
) -> list[tuple[dict[str, str], Reference]]:
    """Variants of a scene's clip, as many as requests are in flight: its frames from another keyframe on,
    each with a reference pass of its own. Those with another number of frames are left out.

    None for a user's own video, which may be anywhere, nor for a scene that repeats before its next keyframe.
    """
    if clip.stat().st_size > LARGEST_VARIED_BYTES:
        return []
    pairs = []
    unique_s = Fraction(str(known.settings.unique_s))
    for path in ensure_rotated(clip, unique_s, config.load.concurrency, note):
        with request.splitter(path) as splitter:
            info, frames = splitter.info, len(splitter.sampled_pts)
        if frames != expected:
            continue
        fingerprint = file_digest(path)
        name, reference = ensure_reference(
            info,
            fingerprint,
            request,
            geometry,
            detector,
            replace(known, begins_at=first_frame(path)),
            cache / "reference",
            lambda done: progress("reference pass of a variant", done, expected),
        )
        variant = {"path": str(path), "fingerprint": fingerprint, "reference": str(name)}
        pairs.append((variant, reference))
    return pairs


def _nodes(config: Config) -> list[dict[str, Any]]:
    """The nodes that the cluster will have, as ``ray.nodes()`` gives them."""
    return [
        {
            "Alive": True,
            "Resources": {**node_resources(node), "object_store_memory": node.object_store_mb * 1e6},
        }
        for node in config.cluster.nodes.values()
    ]
