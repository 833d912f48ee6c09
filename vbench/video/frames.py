"""Decodes exactly the sampled frames with FFmpeg, from a chunk or directly from the whole file."""

import threading
from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path

import ffmpeg
import numpy as np
import numpy.typing as npt

from vbench.video.addresses import media_url
from vbench.video.errors import VideoError
from vbench.video.ffmpeg.executable import file_options, pipe_options
from vbench.video.ffmpeg.filters import decoder_options, ffmpeg_command, frame_graph
from vbench.video.ffmpeg.process import FFmpegProcess, FFmpegRun
from vbench.video.probe import read_index
from vbench.video.types import Chunk, FrameGeometry, Frames, VideoInfo, VideoLimits

_BATCH_BYTES = 64 << 20


def decode_chunk(
    chunk: Chunk,
    geometry: FrameGeometry,
    *,
    threads: int,
    timeout_s: float,
    hwaccel: str | None = None,
    stop: threading.Event | None = None,
    ended: Callable[[FFmpegRun], None] | None = None,
) -> Frames:
    """Decode all sampled frames of a chunk.

    Args:
        chunk: from a ``Splitter``.
        geometry: size of the frames, and size and position of the picture in them.
        threads: threads for FFmpeg's decoder, filters and scaler each, 1 or more.
        timeout_s: seconds that FFmpeg may take.
        hwaccel: hardware that decodes, see ``require_hwaccel``; None: the CPU.
        stop: ends decoding within 0.2 s when another thread sets it.
        ended: called with what the kernel reports of the run of FFmpeg, once it has succeeded.

    Raises:
        VideoError: the payload is damaged, or yields other frames than ``chunk.sampled_pts``.
        VideoTimeoutError: FFmpeg took longer than ``timeout_s``.
        DecoderKilledError: FFmpeg was killed from outside.
        StoppedError: ``stop`` was set.
        ToolMissingError: there is no FFmpeg.
    """
    pixels = _empty_frames(len(chunk.sampled_pts), geometry)
    if len(chunk.sampled_pts):
        info = chunk.info
        options = {"format": "nut", **pipe_options()}
        source = ffmpeg.input("pipe:0", **options, **decoder_options(info, threads, hwaccel))["v:0"]
        wanted = chunk.sampled_pts + chunk.pts_shift if chunk.payload_pts is None else chunk.payload_pts
        graph = frame_graph(source, info, geometry, wanted, hwaccel)
        with (
            ffmpeg_command(graph, threads=threads) as command,
            FFmpegProcess(
                command.arguments,
                descriptors=command.descriptors,
                subject=f"chunk {chunk.index} of {info.path}",
                stdin=chunk.payload.data,
                timeout_s=timeout_s,
                threads=threads,
                # A GPU's driver reserves address space by the terabyte.
                memory_bytes=None if hwaccel else _memory_bytes(info, geometry, threads),
                stop=stop,
            ) as process,
        ):
            got = process.read_into(pixels.data.cast("B"))
            run = process.finish()
        if ended is not None:
            ended(run)
        _check_count(f"chunk {chunk.index} of {info.path}", got, geometry, len(wanted))
    return Frames(pts=chunk.sampled_pts, pixels=pixels, geometry=geometry)


def decode_video(
    path: str | Path,
    *,
    fps: Fraction,
    geometry: FrameGeometry | Callable[[VideoInfo], FrameGeometry] = FrameGeometry.native,
    threads: int,
    timeout_s: float,
    batch_frames: int | None = None,
    keyframes_only: bool = False,
    limits: VideoLimits | None = None,
) -> Generator[Frames]:
    """Decode the same frames in one pass of FFmpeg over the file itself, batch by batch: the reference.

    Only the index, which says which frames are sampled, is shared with the splitter.

    Args:
        path: the video, or its ``file:`` URI.
        fps: frames per second to sample, see ``sampling.sampled``.
        geometry: of the frames, or a function that derives it from the facts about the video.
        threads: of FFmpeg's decoder, filters and scaler each, 1 or more.
        timeout_s: seconds that FFmpeg may keep its reader waiting, all batches together.
        batch_frames: frames per batch; None: as many as fit into 64 MiB, at least one.
        keyframes_only: whether keyframes replace the sampled frames, see ``PacketIndex.sampled_pts``.
        limits: what to refuse.

    Yields:
        Frames in order, each batch in its own array; closing the generator kills FFmpeg.

    Raises:
        VideoError: the video is damaged, or yields other frames than its index says.
        VideoTimeoutError: FFmpeg took longer than ``timeout_s``.
        DecoderKilledError: FFmpeg was killed from outside.
        ToolMissingError: there is no FFmpeg.
    """
    info, index = read_index(path, limits)
    wanted = index.sampled_pts(info, Fraction(fps), keyframes_only=keyframes_only)
    shape = geometry if isinstance(geometry, FrameGeometry) else geometry(info)
    batch = batch_frames or max(1, _BATCH_BYTES // shape.frame_bytes)
    url = media_url(Path(info.path))
    opened = ffmpeg.input(url, **file_options(), **decoder_options(info, threads))
    graph = frame_graph(opened[str(index.stream)], info, shape, wanted)
    with (
        ffmpeg_command(graph, threads=threads) as command,
        FFmpegProcess(
            # FFmpeg would stop where segments were joined; the index has checked that no packet is missing.
            [word for word in command.arguments if not (index.joined and word == "-xerror")],
            descriptors=command.descriptors,
            subject=info.path,
            timeout_s=timeout_s,
            threads=threads,
            memory_bytes=_memory_bytes(info, shape, threads),
        ) as process,
    ):
        for start in range(0, len(wanted), batch):
            pts = wanted[start : start + batch]
            pixels = _empty_frames(len(pts), shape)
            got = process.read_into(pixels.data.cast("B"))
            if start + batch >= len(wanted) or got < pixels.nbytes:
                process.finish()
            _check_count(info.path, start * shape.frame_bytes + got, shape, start + len(pts), len(wanted))
            yield Frames(pts=pts, pixels=pixels, geometry=shape)


def _memory_bytes(info: VideoInfo, geometry: FrameGeometry, threads: int) -> int:
    """Address space for FFmpeg: program and pipes, each thread's stack and heap, and pictures in flight.

    A decoder holds at most 16 references, one picture per thread, and some in the filters; a pixel takes at
    most 8 bytes (4:4:4 with alpha, 16 bits).
    """
    pictures = 32 + 2 * threads
    coded = (info.decoded_width + 128) * (info.decoded_height + 128) * 8
    return (3 << 30) + (256 << 20) * threads + pictures * (coded + geometry.frame_bytes)


def _empty_frames(count: int, geometry: FrameGeometry) -> npt.NDArray[np.uint8]:
    return np.empty((count, *geometry.frame_shape), np.uint8)


def _check_count(
    subject: str, got_bytes: int, geometry: FrameGeometry, expected: int, total: int | None = None
) -> None:
    got = got_bytes // geometry.frame_bytes
    if got_bytes != expected * geometry.frame_bytes:
        raise VideoError(
            f"{subject} yielded {got} of {expected if total is None else total} sampled frames: it is "
            "damaged, or not coded as its index says"
        )
