"""What the frames of a video are, found out without vbench: pts by PyAV, pixels by a plain FFmpeg."""

from dataclasses import dataclass
from fractions import Fraction
from hashlib import md5
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tests.video.support.clips import run_ffmpeg
from vbench.video.split import Splitter
from vbench.video.types import Chunk, Frames

ALL = Fraction(1000)
"""Frames a second that leave none out."""

PLAIN = "scale=flags=bicubic+accurate_rnd+full_chroma_int+bitexact,format=rgb24"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Every frame of a video, in order: its pts, and the md5 of its rgb24 bytes as large as it is coded."""

    time_base: Fraction
    pixels: dict[int, str]

    def picked(self, fps: Fraction) -> list[int]:
        """The first pts in each bin of 1/fps seconds from the first frame on."""
        first = min(self.pixels)
        bins: dict[int, int] = {}
        for pts in sorted(self.pixels):
            bins.setdefault(int((pts - first) * self.time_base * fps), pts)
        return sorted(bins.values())

    def expected(self, fps: Fraction) -> list[tuple[int, str]]:
        """(pts, md5) of the frames to hand out."""
        return [(pts, self.pixels[pts]) for pts in self.picked(fps)]


def truth(path: Path, filters: str = PLAIN) -> Truth:
    """Decode all of ``path`` twice: PyAV tells the pts, FFmpeg the pixels; both must tell the same pts."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        time_base = Fraction(stream.time_base)
        by_pyav = [frame.pts for frame in container.decode(stream)]
    options = ["-noautorotate", "-copyts", "-i", str(path), "-map", "0:v:0", "-vf", filters]
    lines = run_ffmpeg(*options, "-fps_mode", "passthrough", "-enc_time_base", "demux",
                       "-f", "framehash", "-hash", "md5", "pipe:1").splitlines()  # fmt: skip
    written = next(Fraction(line.split(": ")[1]) for line in lines if line.startswith("#tb"))
    pixels: dict[int, str] = {}
    for line in lines:
        if not line.startswith("#"):
            _, _, pts, _, _, digest = (part.strip() for part in line.split(","))
            ticks = int(pts) * written / time_base
            assert ticks.denominator == 1
            pixels[int(ticks)] = digest
    assert sorted(pixels) == sorted(by_pyav)
    return Truth(time_base=time_base, pixels=pixels)


def found(batches: list[Frames]) -> list[tuple[int, str]]:
    """(pts, md5 of the pixels) of frames that vbench decoded."""
    return [
        (int(pts), pixel_md5(picture))
        for frames in batches
        for pts, picture in zip(frames.pts, frames.pixels, strict=True)
    ]


def pixel_md5(picture: npt.NDArray[np.uint8]) -> str:
    """md5 of one frame's bytes."""
    return md5(np.ascontiguousarray(picture).data).hexdigest()


def one_chunk(path: Path, fps: Fraction = ALL) -> Chunk:
    """The whole video as a single chunk."""
    with Splitter(path, fps=fps, chunk_s=Fraction(3600)) as splitter:
        return next(iter(splitter))
