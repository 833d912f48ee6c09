"""What one plain pass of FFmpeg over a file decodes: the truth of the differential test."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from vbench.video.ffmpeg.executable import ffmpeg_path

RGB = "scale=flags=bicubic+accurate_rnd+full_chroma_int+bitexact,format=rgb24"
_FRAME = re.compile(r"\[info\] n: *\d+ pts: *(-?\d+|NOPTS) .* s:(\d+)x(\d+) .* plane_checksum:\[([0-9A-F]+)")
_COUNT = re.compile(r"\[info\] n: *(\d+) ")
_DECODER = re.compile(r"\[(h264|hevc|vp8|vp9|av1|libdav1d) @ (?!.*\[error\] SEI)")
_TIME_BASE = re.compile(r"config in time_base: (\d+/\d+)")


def picture_name(width: int, height: int, adler32: int) -> str:
    """A name for an rgb24 picture, the same for the same picture."""
    return f"{width}x{height}:{adler32:08X}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One frame as it comes out of FFmpeg."""

    pts: int
    width: int
    height: int
    adler32: int
    """Over its rgb24 bytes, begun at 0."""

    @property
    def picture(self) -> str:
        """Tells it from other pictures."""
        return picture_name(self.width, self.height, self.adler32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPass:
    """One pass of FFmpeg."""

    error: str | None
    """Why FFmpeg gave up (``-xerror``); None if it did not."""
    faults: tuple[str, ...]
    """What its decoder said and went on."""
    time_base: Fraction
    frames: tuple[Shown, ...]
    """In the order they came."""

    @property
    def sizes(self) -> set[tuple[int, int]]:
        """Every picture size that there is."""
        return {(frame.width, frame.height) for frame in self.frames}

    @property
    def rises(self) -> bool:
        """Whether each frame is later than the one before."""
        return rises([frame.pts for frame in self.frames])

    def sampled(self, fps: Fraction) -> list[tuple[int, str]]:
        """(pts, picture) of the first frame in each bin of 1/fps seconds from the first frame on."""
        bins: dict[int, Shown] = {}
        ordered = sorted(self.frames, key=lambda frame: frame.pts)
        for frame in ordered:
            seconds = (frame.pts - ordered[0].pts) * self.time_base
            bins.setdefault(seconds * fps // 1, frame)
        return [(frame.pts, frame.picture) for frame in bins.values()]


def shows_parts(whole: PlainPass, parts: Sequence[PlainPass]) -> bool:
    """Whether the pictures of a joined file are those of its parts, each decoded alone."""
    return [frame.picture for frame in whole.frames] == [
        frame.picture for part in parts for frame in part.frames
    ]


def rises(times: list[int]) -> bool:
    """Whether each is later than the one before."""
    return all(a < b for a, b in pairwise(times))


def decoder_times(path: Path) -> list[int]:
    """pts of the frames as libavcodec hands them out: FFmpeg's program moves times that jump."""
    with av.open(path) as file:
        file.streams.video[0].codec_context.thread_count = 1
        return [frame.pts for frame in file.decode(video=0) if frame.pts is not None]


def plain_pass(path: Path, *, turn: str = "", strict: bool = True) -> PlainPass:
    """Decode the video that FFmpeg chooses by itself, all of it; ``strict``: damage ends the pass.

    The pictures are looked at inside FFmpeg: on its way out a picture of another size than the first would be
    scaled to that. FFmpeg's threads sometimes write into each other's lines; then it is run again.
    """
    for _ in range(20):
        command, text, status = _run(path, turn, strict=strict)
        if _is_whole(text):
            return _read(text, status)
    raise AssertionError(f"the log of {command} is never whole")


def is_turned(path: Path) -> bool:
    """Whether FFmpeg, left to itself, shows the pictures a quarter turn from how they are coded.

    False for a file that it cannot decode, such as one that was cut off.
    """
    coded, shown = (_size(path, option) for option in ("-noautorotate", "-autorotate"))
    return coded != shown


def _size(path: Path, option: str) -> tuple[str, ...] | None:
    command = [ffmpeg_path(), "-hide_banner", "-nostdin", "-v", "level+info", option]
    command += ["-i", f"file:{path}", "-frames:v", "1", "-vf", "showinfo", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        return None
    found = _FRAME.search(done.stderr)
    assert found is not None, done.stderr
    return found.groups()[1:3]


def _is_whole(text: str) -> bool:
    """Whether each frame has its whole line: FFmpeg counts them, from 0 again when the format changes."""
    expected = 0
    for line in text.splitlines():
        if "pts_time" not in line:
            continue
        counted = _COUNT.search(line)
        if counted is None or _FRAME.search(line) is None or int(counted[1]) not in (0, expected):
            return False
        expected = int(counted[1]) + 1
    return True


def _run(path: Path, turn: str, *, strict: bool) -> tuple[list[str], str, int]:
    filters = ",".join(part for part in (RGB, turn, "showinfo") if part)
    command = [ffmpeg_path(), "-hide_banner", "-nostdin", "-nostats", "-v", "level+info"]
    command += ["-copyts", *(["-xerror"] if strict else [])]
    command += ["-threads", "1", "-noautorotate", "-i", f"file:{path}", "-an", "-sn", "-dn"]
    command += ["-vf", filters, "-fps_mode", "passthrough", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    return command, done.stderr.decode("utf-8", "replace"), done.returncode


def _read(text: str, status: int) -> PlainPass:
    frames, time_base = [], Fraction(1)
    for line in text.splitlines():
        if found := _TIME_BASE.search(line):
            time_base = Fraction(found[1])
        elif found := _FRAME.search(line):
            pts, width, height, checksum = int(found[1]), int(found[2]), int(found[3]), int(found[4], 16)
            frames.append(Shown(pts=pts, width=width, height=height, adler32=checksum))
    lines = [line for line in text.splitlines() if "[error]" in line or "[fatal]" in line]
    error = " | ".join(lines[-4:]) or f"status {status}" if status else None
    faults = tuple(line for line in lines if _DECODER.match(line))
    return PlainPass(error=error, faults=faults, time_base=time_base, frames=tuple(frames))
