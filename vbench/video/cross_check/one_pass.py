"""Samples a whole video with one plain run of FFmpeg, without the service's index, chunks or sampling
code."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vbench.video.cross_check.ffmpeg_run import (
    FilterOptions,
    Picture,
    PlainRun,
    announced_pixels,
    only_video_stream,
)
from vbench.video.cross_check.ts_continuity import continuous
from vbench.video.errors import VideoError
from vbench.video.ffmpeg.filters import picture_filters
from vbench.video.types import FrameGeometry, Frames

_BATCH_BYTES = 64 << 20


def plain_pass(
    path: Path,
    *,
    fps: Fraction,
    geometry: FrameGeometry,
    rotation: int = 0,
    flipped: bool = False,
    threads: int,
    timeout_s: float,
    keyframes_only: bool = False,
) -> Generator[Frames]:
    """Every frame that a correct response contains, in order, in batches of at most 64 MiB or one frame.

    Of the frames that FFmpeg outputs, the first in each bin floor((pts - P0) * time_base * fps) is sampled;
    P0 is the PTS of the very first. With ``keyframes_only``, the last keyframe at or before each such frame
    replaces it (before the first keyframe: the first), once for all frames that it replaces.

    FFmpeg itself chooses the stream (ignoring thumbnails), crops, applies edit lists, and assigns PTS. Only
    the filters that scale and convert a picture are shared with the service.

    Args:
        path: the video file.
        fps: frames per second to sample, above 0.
        geometry: of the frames.
        rotation: degrees clockwise that make the coded picture upright.
        flipped: whether the coded picture is flipped vertically before.
        threads: threads for FFmpeg's decoder, filters and scaler each, 1 or more.
        timeout_s: seconds that FFmpeg may keep its reader waiting, in each of its runs.
        keyframes_only: see above.

    Raises:
        ValueError: ``fps`` is not above 0.
        VideoError: FFmpeg cannot decode all of it without an error, or outputs pictures in another size or
            orientation than ``geometry``, ``rotation`` and ``flipped`` say.
        VideoTimeoutError: FFmpeg took longer than ``timeout_s``.
        DecoderKilledError: FFmpeg was killed from outside.
        ToolMissingError: there is no FFmpeg.
    """
    if fps <= 0:
        raise ValueError(f"fps={fps} is out of range: it must be above 0")
    with continuous(path) as opened:
        run = PlainRun(
            path=path,
            opened=opened,
            geometry=geometry,
            threads=threads,
            timeout_s=timeout_s,
            stream=only_video_stream(path),
            announced_pixels=announced_pixels(path),
        )
        yield from _passed(run, fps, rotation, flipped=flipped, keyframes_only=keyframes_only)


def _passed(
    run: PlainRun, fps: Fraction, rotation: int, *, flipped: bool, keyframes_only: bool
) -> Generator[Frames]:
    path, geometry = run.path, run.geometry
    first = run.first_frame()
    if (first.width, first.height) != (geometry.source_width, geometry.source_height):
        raise VideoError(
            f"{path} has {first.width} x {first.height} pixels in FFmpeg but {geometry.source_width} x "
            f"{geometry.source_height} in vbench: please report this file"
        )
    bins = _Bins(first_pts=first.pts, per_tick=min(first.time_base * fps, Fraction(1)))
    coded = run.first_frame(turned=False)
    convert = [
        _only(coded.width, coded.height),
        *picture_filters(geometry, rotation, flipped=flipped, colors={}),
    ]
    pictures = _keyframes(run, bins, convert) if keyframes_only else _sampled(run, bins, convert)
    with closing(pictures):
        for number, frames in enumerate(_batches(pictures, geometry)):
            if number == 0:
                _check_upright(run, geometry, frames.pixels[0])
            yield frames


def _only(width: int, height: int) -> FilterOptions:
    """A filter that fails on pictures of another size, which the scaler would stretch to the first one's
    size."""
    wanted = f"if(eq(iw,{width})*eq(ih,{height}),{width},0)"
    return "crop", {"w": wanted, "h": height, "x": 0, "y": 0, "exact": 1}


@dataclass(slots=True, kw_only=True)
class _Bins:
    """The sampling rule, applied frame by frame."""

    first_pts: int
    per_tick: Fraction
    """Bins per tick; at most 1, since finer bins change nothing."""
    last: int | None = None

    def opens(self, pts: int) -> bool:
        """Whether this frame is the first in a bin that is later than all earlier ones."""
        number = (pts - self.first_pts) * self.per_tick.numerator // self.per_tick.denominator
        if self.last is not None and number <= self.last:
            return False
        self.last = number
        return True

    def expression(self) -> str:
        """The rule in the language of FFmpeg's select filter.

        A quotient of integers below 2**53 is rounded to an integer only if it is one, so floor is exact.
        FFmpeg forgets the last selected frame when the stream changes its format, and then selects one too
        many.
        """
        scale = f"*{self.per_tick.numerator}/{self.per_tick.denominator}"
        this, last = (f"floor(({pts}-({self.first_pts})){scale})" for pts in ("pts", "prev_selected_pts"))
        return f"isnan(prev_selected_pts)+gt({this},{last})"


def _sampled(run: PlainRun, bins: _Bins, convert: Iterable[FilterOptions]) -> Generator[Picture]:
    """The first frame in each bin."""
    with closing(run.pictures([("select", {"expr": bins.expression()})], convert)) as pictures:
        for picture, _ in pictures:
            if picture is not None and bins.opens(picture.pts):
                yield picture


def _keyframes(run: PlainRun, bins: _Bins, convert: Iterable[FilterOptions]) -> Generator[Picture]:
    """The last keyframe at or before the first frame in each bin; those frames if there is no keyframe."""
    wanted: deque[int] = deque()
    keyframe: Picture | None = None
    choose = [("select", {"expr": "eq(key,1)"})]
    with closing(run.pictures(choose, convert, all_times=True)) as pictures:
        for following, times in pictures:
            wanted.extend(pts for pts in times if bins.opens(pts))
            is_output = False
            while keyframe and wanted and (following is None or wanted[0] < following.pts):
                wanted.popleft()
                is_output = True
            if keyframe and is_output:
                yield keyframe
            keyframe = following or keyframe
    if keyframe is None:
        bins.last = None
        yield from _sampled(run, bins, convert)


def _batches(pictures: Iterator[Picture], geometry: FrameGeometry) -> Iterator[Frames]:
    size = max(1, _BATCH_BYTES // geometry.frame_bytes)
    batch: list[Picture] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == size:
            yield _frames(batch, geometry)
            batch = []
    if batch:
        yield _frames(batch, geometry)


def _frames(batch: list[Picture], geometry: FrameGeometry) -> Frames:
    pts = np.array([picture.pts for picture in batch], np.int64)
    return Frames(pts=pts, pixels=np.stack([picture.pixels for picture in batch]), geometry=geometry)


def _check_upright(run: PlainRun, geometry: FrameGeometry, frame: npt.NDArray[np.uint8]) -> None:
    """Check that no other orientation is closer to the picture that FFmpeg rotates itself.

    FFmpeg rotates a picture before it interpolates its chroma, so the two differ a little.
    """
    rows, columns = geometry.height, geometry.width
    whole = frame[:rows].reshape(rows, columns, -1)  # of yuv420p the luma
    top, left = geometry.pad_y, geometry.pad_x
    ours = whole[top : top + geometry.inner_height, left : left + geometry.inner_width].astype(np.int16)
    shown = run.upright_frame(channels=ours.shape[2]).astype(np.int16)
    apart = {
        (turns, mirrored): float(np.abs(np.rot90(flat, turns) - shown).mean())
        for mirrored, flat in ((False, ours), (True, ours[:, ::-1]))
        for turns in range(4)
        if np.rot90(flat, turns).shape == shown.shape
    }
    if apart[0, False] > 2 * min(apart.values()) + 2:
        raise VideoError(
            f"{run.path} has another orientation in FFmpeg than in vbench: please report this file"
        )
