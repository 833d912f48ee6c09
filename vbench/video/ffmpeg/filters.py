"""Builds FFmpeg's command line, and the filters that select, convert, rotate and pad frames."""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ffmpeg
import numpy as np
import numpy.typing as npt

from vbench.video.ffmpeg.executable import (
    command_prefix,
    ffmpeg_path,
    ffmpeg_version,
    is_version_at_least,
    max_pixels,
)
from vbench.video.types import FrameGeometry, VideoInfo

SCALE_FLAGS = "bicubic+accurate_rnd+full_chroma_int+bitexact"
"""Flags of swscale: the same picture gives the same bytes, whatever instructions the CPU has."""

YUV_OUT = {"out_color_matrix": "bt709", "out_range": "tv"}
"""Colours of yuv420p frames, whatever those of the video."""

PLANAR_RGB = "gbrp"
"""Intermediate format for rgb24: swscale has vector code with the same exact rounding for three planes, but
not for packed RGB, and packing is cheap. The bytes are the same, in a third of the time."""

DOWNLOADED = "nv12|p010le|p012le|yuv444p|yuv444p16le"
"""Pixel formats that hardware decoders output."""

PAD_GREY = "0x727272"
"""(114, 114, 114), as ``FrameGeometry`` says."""

_J_FORMATS = {f"yuv{digits}p": f"yuvj{digits}p" for digits in (411, 420, 422, 440, 444)}
"""Other names of the same pixel formats in full range, depending on FFmpeg's version and the decoder."""

_MATRIX_NAMES = {"bt601": "bt470bg|smpte170m", "bt2020": "bt2020nc"}
"""Names in FFmpeg's format filter of matrices that its scale filter names differently."""

_ARGUMENT_BYTES = 100_000
"""Linux allows 128 KiB per argument (MAX_ARG_STRLEN); a longer filter is passed as a file in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line of FFmpeg."""

    arguments: list[str]
    """Program and arguments."""
    descriptors: tuple[int, ...] = ()
    """Open files that the arguments refer to; FFmpeg must inherit them under the same numbers."""


def select_expression(pts: Sequence[int]) -> str:
    """An expression for FFmpeg's select filter that is true for the frames with these PTS.

    A balanced tree of comparisons, since a sum of ``eq(pts,N)`` is evaluated in full for each frame, and
    nests as deep as it has terms. A frame that comes later than one with a higher PTS is not selected, so
    that the selected frames are in order, or too few.

    Args:
        pts: PTS in ticks, increasing, below 2**53 (FFmpeg computes in doubles), at least one.
    """

    def among(low: int, high: int) -> str:
        if high - low == 1:
            return f"eq(pts,{pts[low]})"
        middle = (low + high) // 2
        return f"if(lt(pts,{pts[middle]}),{among(low, middle)},{among(middle, high)})"

    return f"{among(0, len(pts))}*(isnan(prev_selected_pts)+gt(pts,prev_selected_pts))"


def decoder_options(info: VideoInfo, threads: int, hwaccel: str | None = None) -> dict[str, Any]:
    """Options before ``-i``: no rotation, and no cropping that would not also apply to a NUT payload."""
    options: dict[str, Any] = {
        "threads": max(1, threads),
        "max_pixels": max_pixels(info.decoded_width, info.decoded_height, info.announced_pixels),
        "noautorotate": None,
    }
    if is_version_at_least(ffmpeg_version(ffmpeg_path()), 7, 1):
        options["apply_cropping"] = "codec"
    if hwaccel:
        # Without the format, FFmpeg silently decodes on the CPU what the hardware does not support.
        surface = "drm_prime" if hwaccel == "drm" else hwaccel
        options |= {"hwaccel": hwaccel, "hwaccel_output_format": surface}
        if info.codec == "av1":
            options["vcodec"] = "av1"  # not libdav1d, which has no hardware acceleration
    return options


def frame_graph(
    source: Any,
    info: VideoInfo,
    geometry: FrameGeometry,
    wanted: npt.NDArray[np.int64],
    hwaccel: str | None = None,
) -> Any:
    """The graph that selects frames by PTS, converts them, and writes them to standard output.

    Args:
        source: the video stream, a node of ffmpeg-python.
        info: facts about the video.
        geometry: of the frames.
        wanted: int64[K], increasing: PTS of the frames, in ``info.time_base``.
        hwaccel: hardware that decodes; None: the CPU.
    """
    # The colours are set explicitly: they may be in the container only, which NUT drops.
    graph = source.filter("settb", expr=f"{info.time_base.numerator}/{info.time_base.denominator}").filter(
        "select", expr=select_expression(wanted.tolist())
    )
    if hwaccel:
        # Copied from the hardware's memory, as NV12 or the like, and converted to the CPU decoder's format:
        # then the scaler does the same work for both.
        graph = graph.filter("hwdownload").filter("format", pix_fmts=DOWNLOADED)
        graph = graph.filter("scale", flags=SCALE_FLAGS).filter("format", pix_fmts=info.pixel_format)
    graph = _require_same_format(graph, info, colours=not hwaccel)
    colors = {"in_color_matrix": info.color_matrix, "in_range": info.color_range}
    for name, options in picture_filters(geometry, info.rotation, flipped=info.flipped, colors=colors):
        graph = graph.filter(name, **options)
    return graph.output("pipe:1", format="rawvideo", pix_fmt=geometry.pixel_format, fps_mode="passthrough")


def _require_same_format(graph: Any, info: VideoInfo, *, colours: bool) -> Any:
    """Crops as the container says; fails on pictures whose size, pixel format or colours differ from
    ``info``.

    FFmpeg silently reconfigures its filters if pictures change in mid-stream. Here such pictures fail: a crop
    to a width of 0 is an error, and so is a pixel format that nothing converts (see ``ffmpeg_command``).
    """
    left, top, _, _ = info.crop
    same_size = f"eq(iw,{info.decoded_width})*eq(ih,{info.decoded_height})"
    graph = graph.filter(
        "crop", w=f"if({same_size},{info.coded_width},0)", h=info.coded_height, x=left, y=top, exact=1
    )
    plain = info.pixel_format.replace("yuvj", "yuv")
    options = {"pix_fmts": "|".join(sorted({info.pixel_format, plain, _J_FORMATS.get(plain, plain)}))}
    if colours and is_version_at_least(ffmpeg_version(ffmpeg_path()), 7, 1):
        # A chunk may lack them: if only the container states them, they are not in its payload.
        if info.color_matrix != "auto":
            options["color_spaces"] = _MATRIX_NAMES.get(info.color_matrix, info.color_matrix) + "|unknown"
        if info.color_range != "auto":
            options["color_ranges"] = info.color_range + "|unknown"
    return graph.filter("format", **options)


def picture_filters(
    geometry: FrameGeometry, rotation: int, *, flipped: bool, colors: Mapping[str, str]
) -> list[tuple[str, dict[str, Any]]]:
    """Filters, each with its options, that turn a decoded picture into a frame.

    Args:
        geometry: of the frame.
        rotation: degrees clockwise that make the picture upright.
        flipped: whether to flip it vertically before.
        colors: options of the scale filter for the picture's colours; others are the stream's.
    """
    inner = (geometry.inner_width, geometry.inner_height)
    width, height = inner[::-1] if rotation % 180 else inner
    scale = {"w": width, "h": height, "flags": SCALE_FLAGS, "interl": 0, **colors}
    if geometry.pixel_format == "yuv420p":
        scale |= YUV_OUT
    filters: list[tuple[str, dict[str, Any]]] = [("scale", scale)]
    if geometry.pixel_format == "rgb24":
        filters += [("format", {"pix_fmts": PLANAR_RGB}), ("scale", {"flags": SCALE_FLAGS})]
    filters += [("format", {"pix_fmts": geometry.pixel_format}), *_turns(rotation, flipped=flipped)]
    if inner != (geometry.width, geometry.height):
        padding = {"w": geometry.width, "h": geometry.height, "x": geometry.pad_x, "y": geometry.pad_y}
        filters.append(("pad", padding | {"color": PAD_GREY}))
    return filters


def _turns(rotation: int, *, flipped: bool) -> list[tuple[str, dict[str, str]]]:
    """Filters that make the picture upright; after the conversion, they only move pixels."""
    turns: dict[int, list[tuple[str, dict[str, str]]]] = {
        0: [],
        90: [("transpose", {"dir": "clock"})],
        180: [("hflip", {}), ("vflip", {})],
        270: [("transpose", {"dir": "cclock"})],
    }
    flip: list[tuple[str, dict[str, str]]] = [("vflip", {})] if flipped else []
    return flip + turns[rotation]


@contextmanager
def ffmpeg_command(graph: Any, *, threads: int) -> Generator[Command]:
    """FFmpeg's command line with ``threads`` threads; it converts nothing that ``graph`` does not.

    A filter that is too long for an argument is in memory that both processes share while the block runs, and
    that the kernel frees with the last of them: a killed process leaves nothing behind.
    """
    options = [*command_prefix(threads), "-noauto_conversion_filters"]
    arguments: list[str] = ffmpeg.compile(graph, cmd=options)
    at = arguments.index("-filter_complex")
    if len(arguments[at + 1].encode()) <= _ARGUMENT_BYTES:
        yield Command(arguments=arguments)
        return
    newer = is_version_at_least(ffmpeg_version(arguments[0]), 7)
    with os.fdopen(os.memfd_create("filter"), "wb") as file:
        file.write(arguments[at + 1].encode())
        file.flush()
        option = "-/filter_complex" if newer else "-filter_complex_script"
        arguments[at : at + 2] = [option, f"/proc/self/fd/{file.fileno()}"]
        yield Command(arguments=arguments, descriptors=(file.fileno(),))
