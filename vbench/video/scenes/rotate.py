"""Rotates a clip in time: it then begins at another keyframe, and ends with what came before that."""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
from av.packet import Packet
from av.video.stream import VideoStream

from vbench.video.cache import Warn, is_intact, store
from vbench.video.digest import file_digest
from vbench.video.index.demux import open_video
from vbench.video.types import VideoLimits


@dataclass(frozen=True, slots=True)
class _Coded:
    """A packet with its timestamps, which writing the packet overwrites."""

    packet: Packet[VideoStream]
    pts: int
    duration: int


def _starts(coded: Sequence[_Coded]) -> list[int]:
    """Indices of keyframes, in decoding order, at which a clip can be cut in two: no later picture is
    presented before the keyframe, and no earlier one after it."""
    earliest = list(accumulate((item.pts for item in reversed(coded)), min))[::-1]
    latest = list(accumulate((item.pts for item in coded), max))
    return [
        at
        for at, item in enumerate(coded)
        if item.packet.is_keyframe and earliest[at] == item.pts and (at == 0 or latest[at - 1] < item.pts)
    ]


def first_frame(rotated: Path) -> int:
    """Number, from 0, of the original clip's frame with which a clip from ``ensure_rotated`` begins."""
    return int(rotated.stem.rpartition("-")[2])


def ensure_rotated(clip: Path, within_s: Fraction, count: int, warn: Warn | None = None) -> list[Path]:
    """Up to ``count`` clips next to ``clip``, each beginning at another of its keyframes; encodes nothing.

    A clip that already exists is not made again. Each is written under another name and moved, so that a kill
    leaves no partial file.

    Args:
        clip: an MP4 file.
        within_s: the keyframes are those after the first and before this time, in seconds.
        count: most clips to make.
        warn: receives a sentence about a clip that was replaced.

    Raises:
        VideoError: the clip cannot be read.
    """
    made = []
    source = file_digest(clip)
    with open_video(clip, VideoLimits()) as video:
        time_base = video.stream.time_base
        assert time_base is not None
        coded = [_Coded(packet, packet.pts or 0, packet.duration or 0) for packet in video.packets()]
        first = coded[0].pts
        cuts = [at for at in _starts(coded)[1:] if (coded[at].pts - first) * time_base < within_s]
        for at in cuts if len(cuts) <= count else [cuts[i * len(cuts) // count] for i in range(count)]:
            path = clip.with_suffix(f".from-{at}.mp4")
            if not is_intact(path, [source, at], warn):
                partial = path.with_suffix(f".{os.getpid()}.part")
                try:
                    _write(partial, video.stream, coded, at)
                    store(partial, path, [source, at])
                finally:
                    partial.unlink(missing_ok=True)
            made.append(path)
    return made


def _write(out: Path, stream: VideoStream, coded: Sequence[_Coded], at: int) -> None:
    assert stream.time_base is not None
    time_base = Fraction(stream.time_base)
    first, cut = min(item.pts for item in coded), coded[at].pts
    length = max(item.pts + item.duration for item in coded) - cut
    ordered = [*coded[at:], *coded[:at]]
    presented = [item.pts - cut for item in coded[at:]] + [item.pts - first + length for item in coded[:at]]
    # DTS are the PTS in increasing order, early enough for each picture.
    decode_times = sorted(presented)
    early = max(due - pts for due, pts in zip(decode_times, presented, strict=True))
    with av.open(str(out), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        target = container.add_stream_from_template(stream, opaque=True)
        target.time_base = time_base
        for item, pts, due in zip(ordered, presented, decode_times, strict=True):
            packet = item.packet
            packet.time_base = time_base  # the one before may have been written to another file
            packet.pts, packet.dts, packet.duration = pts + early, due, item.duration
            packet.stream = target
            container.mux_one(packet)
