"""Checks of the video and the scene that a configuration names; nothing is read."""

from collections.abc import Iterator
from dataclasses import asdict

from vbench.clusters.emulated.validate import EMULATED
from vbench.config.path_option import LOOP, leads_to_itself
from vbench.config.schema import MISSING, Config
from vbench.video.addresses import path_of, scheme_of
from vbench.video.errors import VideoError
from vbench.video.fetch.download import SCHEMES, redacted
from vbench.video.fetch.local_files import FORBIDDEN_FOLDERS
from vbench.video.scenes.settings import SceneOptions, SceneSettings


def video_problems(config: Config) -> Iterator[str]:
    """One sentence for each thing that is wrong with the video or the scene."""
    yield from _video(config)
    if config.video.scene is not None:
        yield from _scene(config.video.scene)


def _video(config: Config) -> Iterator[str]:
    video = config.video
    try:
        scheme = scheme_of(video.path or "")
    except VideoError as error:
        yield f"video.path: {error}."
        return
    if scheme not in SCHEMES:
        yield (
            f"video.path={redacted(video.path or '')} cannot be read: there is no source {scheme!r} "
            f"(there are: {', '.join(SCHEMES)})."
        )
    elif scheme != "file" and config.cluster.name == EMULATED:
        yield (
            f"video.path={redacted(video.path or '')} cannot be reached from cluster=emulated, whose hosts "
            "have no network access: download it and give its path."
        )
    if scheme == "file" and video.name == "file" and video.path not in (None, MISSING, ""):
        yield from _local_video(video.path or "")
    if scheme in ("s3", "gs"):
        yield from _store_address(video.path or "")
    if video.name == "file" and video.path in (None, MISSING, ""):
        yield "video=file needs a path: add video.path=clip.mp4."
    if video.name == "scene" and video.path is not None:
        yield f"video.path={video.path} is ignored with video=scene: add video=file."
    if video.name == "scene" and video.scene is None:
        yield "video.scene=null leaves no video: set the scene, or choose video=file video.path=clip.mp4."


def _local_video(source: str) -> Iterator[str]:
    try:
        path = path_of(source)
    except VideoError as error:
        yield f"video.path: {error}."
        return
    if leads_to_itself(path):
        yield f"video.path={source}: {LOOP}."
        return
    real = path.resolve()
    if any(real.is_relative_to(folder) for folder in FORBIDDEN_FOLDERS):
        yield (
            f"video.path={source} is not a video: vbench does not read from "
            f"{', '.join(map(str, FORBIDDEN_FOLDERS))}. Give another file."
        )


def _store_address(address: str) -> Iterator[str]:
    from vbench.video.fetch.object_store import object_of

    try:
        object_of(address, redacted(address))
    except VideoError as error:
        yield f"video.path: {error}."


def _scene(scene: SceneOptions) -> Iterator[str]:
    try:
        SceneSettings(**asdict(scene))
    except ValueError as error:
        yield f"video.scene: {error}."
