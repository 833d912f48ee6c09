"""The frames that travel: of which size and kind, and how many of them in one chunk."""

from typing import cast

from vbench.models.inputs import input_spec
from vbench.pipeline.config import PipelineArgs
from vbench.video.pixel_format import PixelFormat
from vbench.video.types import FrameGeometry, VideoInfo


def frame_geometry(args: PipelineArgs, info: VideoInfo) -> FrameGeometry:
    """As large as the upright picture, or as the model works on; VideoError where that cannot be."""
    pixel_format = cast(PixelFormat, args.pixel_format)  # checked with the arguments
    if args.frame_size == "native":
        return FrameGeometry.native(info, pixel_format)
    spec = input_spec(args.model.name)
    return FrameGeometry.fitted(info.width, info.height, spec.width, spec.height, spec.fit, pixel_format)


def most_frames(args: PipelineArgs, info: VideoInfo) -> int | None:
    """Frames that one chunk may hold, by ``chunk_mb``; at least one, None where there is no bound."""
    if args.chunk_mb is None:
        return None
    return max(1, int(args.chunk_mb * 1e6) // frame_geometry(args, info).frame_bytes)
