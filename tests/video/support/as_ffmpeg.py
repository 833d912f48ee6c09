"""Short clips, and whether vbench gives of one what a pass of FFmpeg does."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from tests.video.support.clips import source
from tests.video.support.oracle import ALL, Truth, found, truth
from vbench.video.frames import decode_chunk
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry

X264 = "-c:v libx264 -preset ultrafast -bf 2 -threads 1 -x264-params keyint=12:scenecut=0"
SHORT = f"{source(seconds=2, rate='24')} {X264}"
Make = Callable[[str, str], Path]
"""The fixture ``make``: the path of a clip of this name, by FFmpeg's arguments."""


def service(path: Path, fps: Fraction = ALL, *, chunk_s: Fraction = Fraction(2, 3)) -> list[tuple[int, str]]:
    """(pts, md5) of the frames that pruned chunks give."""
    with Splitter(path, fps=fps, chunk_s=chunk_s, prune=True) as splitter:
        geometry = FrameGeometry.native(splitter.info)
        return found([decode_chunk(chunk, geometry, threads=1, timeout_s=60) for chunk in splitter])


def assert_as_ffmpeg(path: Path, count: int, known: Truth | None = None) -> None:
    """All frames, and some of them, are those of one pass of FFmpeg."""
    known = known or truth(path)
    assert len(known.pixels) == count
    for fps in (ALL, Fraction(5)):
        assert service(path, fps) == known.expected(fps)
