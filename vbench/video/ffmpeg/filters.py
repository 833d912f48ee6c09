"""Builds FFmpeg's command: options that bound it, and the filters that choose, convert and place frames."""

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
    is_at_least,
    max_pixels,
)
from vbench.video.types import FrameGeometry, VideoInfo

SCALE_FLAGS = "bicubic+accurate_rnd+full_chroma_int+bitexact"
"""Of swscale: the same picture gives the same bytes, whichever instructions the CPU has."""

YUV_OUT = {"out_color_matrix": "bt709", "out_range": "tv"}
"""What yuv420p frames are in, whatever the video is in."""

PLANAR_RGB = "gbrp"
"""On the way to rgb24: to three planes swscale has vector code of the same exact rounding, to packed RGB it
has none, and packing three planes is cheap. The bytes are the same, in a third of the time."""

DOWNLOADED = "nv12|p010le|p012le|yuv444p|yuv444p16le"
"""What hardware hands out."""

PAD_GREY = "0x727272"
"""(114, 114, 114), as ``FrameGeometry`` says."""

_J_FORMATS = {f"yuv{digits}p": f"yuvj{digits}p" for digits in (411, 420, 422, 440, 444)}
"""What FFmpeg calls the same pixel format of full range, by version and decoder."""

_MATRIX_NAMES = {"bt601": "bt470bg|smpte170m", "bt2020": "bt2020nc"}
"""Names in FFmpeg's format filter of what its scale filter calls otherwise."""

_ARGUMENT_BYTES = 100_000
"""Linux takes 128 KiB an argument (MAX_ARG_STRLEN); a longer filter goes through a file in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What runs FFmpeg."""

    arguments: list[str]
    """The program and its arguments."""
    descriptors: tuple[int, ...] = ()
    """Open files that the arguments name and FFmpeg has to inherit under the same numbers."""


def select_expression(pts: Sequence[int]) -> str:
    """An expression for FFmpeg's select filter that is true for the frames with these pts, in rising order.

    A balanced tree of comparisons, since a sum of ``eq(pts,N)`` is evaluated in full for each frame and
    nests as deep as it has terms. A frame that comes later than one with a higher pts is not taken, so
    that the frames taken are in order, or too few.

    Args:
        pts: rising, below 2**53 (FFmpeg computes in doubles), at least one.
    """

    def among(low: int, high: int) -> str:
        if high - low == 1:
            return f"eq(pts,{pts[low]})"
        middle = (low + high) // 2
        return f"if(lt(pts,{pts[middle]}),{among(low, middle)},{among(middle, high)})"

    return f"{among(0, len(pts))}*(isnan(prev_selected_pts)+gt(pts,prev_selected_pts))"


def decoder_options(info: VideoInfo, threads: int, hwaccel: str | None = None) -> dict[str, Any]:
    """Options before ``-i``; no rotation and no cropping that a NUT payload would not have too."""
    options: dict[str, Any] = {
        "threads": max(1, threads),
        "max_pixels": max_pixels(info.decoded_width, info.decoded_height, info.announced_pixels),
        "noautorotate": None,
    }
    if is_at_least(ffmpeg_version(ffmpeg_path()), 7, 1):
        options["apply_cropping"] = "codec"
    if hwaccel:
        # Without the format FFmpeg decodes on the CPU, and says nothing, what the hardware does not know.
        surface = "drm_prime" if hwaccel == "drm" else hwaccel
        options |= {"hwaccel": hwaccel, "hwaccel_output_format": surface}
        if info.codec == "av1":
            options["vcodec"] = "av1"  # not libdav1d, which has no hardware
    return options


def frame_graph(
    source: Any,
    info: VideoInfo,
    geometry: FrameGeometry,
    wanted: npt.NDArray[np.int64],
    hwaccel: str | None = None,
) -> Any:
    """The wanted frames of ``source``, chosen by pts, as ``geometry`` says, to standard output."""
    # The colour space is given, not left to the stream: it may stand in the container only, which NUT drops.
    graph = source.filter("settb", expr=f"{info.time_base.numerator}/{info.time_base.denominator}").filter(
        "select", expr=select_expression(wanted.tolist())
    )
    if hwaccel:
        # Out of the hardware's memory, as NV12 or the like, and into what the CPU's decoder gives: the scaler
        # then does the same work on both.
        graph = graph.filter("hwdownload").filter("format", pix_fmts=DOWNLOADED)
        graph = graph.filter("scale", flags=SCALE_FLAGS).filter("format", pix_fmts=info.pixel_format)
    graph = _as_announced(graph, info, colours=not hwaccel)
    colors = {"in_color_matrix": info.color_matrix, "in_range": info.color_range}
    for name, options in picture_filters(geometry, info.rotation, flipped=info.flipped, colors=colors):
        graph = graph.filter(name, **options)
    return graph.output("pipe:1", format="rawvideo", pix_fmt=geometry.pixel_format, fps_mode="passthrough")


def _as_announced(graph: Any, info: VideoInfo, *, colours: bool) -> Any:
    """Only pictures of the size, pixel format and colours of ``info``, without what the container crops.

    FFmpeg sets up its filters again, and says nothing, if pictures change in mid-stream. Here others fail: a
    crop to a width of 0 is an error, and so is a pixel format that nothing converts (see ``ffmpeg_command``).
    """
    left, top, _, _ = info.crop
    same_size = f"eq(iw,{info.decoded_width})*eq(ih,{info.decoded_height})"
    graph = graph.filter(
        "crop", w=f"if({same_size},{info.coded_width},0)", h=info.coded_height, x=left, y=top, exact=1
    )
    plain = info.pixel_format.replace("yuvj", "yuv")
    options = {"pix_fmts": "|".join(sorted({info.pixel_format, plain, _J_FORMATS.get(plain, plain)}))}
    if colours and is_at_least(ffmpeg_version(ffmpeg_path()), 7, 1):
        # A chunk may say nothing of them: if only the container does, they are not in its payload.
        if info.color_matrix != "auto":
            options["color_spaces"] = _MATRIX_NAMES.get(info.color_matrix, info.color_matrix) + "|unknown"
        if info.color_range != "auto":
            options["color_ranges"] = info.color_range + "|unknown"
    return graph.filter("format", **options)


def picture_filters(
    geometry: FrameGeometry, rotation: int, *, flipped: bool, colors: Mapping[str, str]
) -> list[tuple[str, dict[str, Any]]]:
    """Filters, each with its options, that turn a decoded picture into the pixels that ``geometry`` names.

    Args:
        geometry: size and place of the picture in the frame, and the pixel format.
        rotation: degrees clockwise that make the picture upright.
        flipped: whether to turn it upside down before.
        colors: options of the scale filter that name the picture's colours; those not named are the stream's.
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
        place = {"w": geometry.width, "h": geometry.height, "x": geometry.pad_x, "y": geometry.pad_y}
        filters.append(("pad", place | {"color": PAD_GREY}))
    return filters


def _turns(rotation: int, *, flipped: bool) -> list[tuple[str, dict[str, str]]]:
    """Filters that make the picture upright; after the conversion, where they only move pixels."""
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
    """FFmpeg's program and arguments, bound to ``threads`` CPUs; it converts nothing that ``graph`` does not.

    A filter too long for an argument lies, until the end, in memory that both processes share and the kernel
    frees with the last of them: a process that is killed leaves nothing behind.
    """
    options = [*command_prefix(threads), "-noauto_conversion_filters"]
    arguments: list[str] = ffmpeg.compile(graph, cmd=options)
    at = arguments.index("-filter_complex")
    if len(arguments[at + 1].encode()) <= _ARGUMENT_BYTES:
        yield Command(arguments=arguments)
        return
    newer = is_at_least(ffmpeg_version(arguments[0]), 7)
    with os.fdopen(os.memfd_create("filter"), "wb") as file:
        file.write(arguments[at + 1].encode())
        file.flush()
        option = "-/filter_complex" if newer else "-filter_complex_script"
        arguments[at : at + 2] = [option, f"/proc/self/fd/{file.fileno()}"]
        yield Command(arguments=arguments, descriptors=(file.fileno(),))
