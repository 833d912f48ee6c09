"""The same pictures in another order: a clip that begins at one of its keyframes and ends before it."""

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

from vbench.video.cache import Say, is_kept, keep
from vbench.video.digest import file_digest
from vbench.video.index.demux import open_video
from vbench.video.types import VideoLimits


@dataclass(frozen=True, slots=True)
class _Coded:
    """A packet and its times, which writing it overwrites."""

    packet: Packet[VideoStream]
    pts: int
    duration: int


def _starts(coded: Sequence[_Coded]) -> list[int]:
    """Where a clip can be cut in two: indices of keyframes, in decoding order, from which on nothing is shown
    before the keyframe, and before which nothing is shown after it."""
    earliest = list(accumulate((one.pts for one in reversed(coded)), min))[::-1]
    latest = list(accumulate((one.pts for one in coded), max))
    return [
        at
        for at, one in enumerate(coded)
        if one.packet.is_keyframe and earliest[at] == one.pts and (at == 0 or latest[at - 1] < one.pts)
    ]


def first_frame(rotated: Path) -> int:
    """The frame of the clip, from 0, with which a clip that ``ensure_rotated`` made of it begins."""
    return int(rotated.stem.rpartition("-")[2])


def ensure_rotated(clip: Path, within_s: Fraction, count: int, say: Say | None = None) -> list[Path]:
    """Up to ``count`` clips beside ``clip``, an mp4, each of which begins at another of the keyframes that
    come after its first and before ``within_s``; made if they are not there. Nothing is encoded again.

    Each is written under another name and moved, so that a kill leaves no half. ``say`` is told of one that
    was replaced since. Raises VideoError for a clip that cannot be read.
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
            if not is_kept(path, [source, at], say):
                half = path.with_suffix(f".{os.getpid()}.part")
                try:
                    _write(half, video.stream, coded, at)
                    keep(half, path, [source, at])
                finally:
                    half.unlink(missing_ok=True)
            made.append(path)
    return made


def _write(out: Path, stream: VideoStream, coded: Sequence[_Coded], at: int) -> None:
    assert stream.time_base is not None
    time_base = Fraction(stream.time_base)
    first, cut = min(one.pts for one in coded), coded[at].pts
    behind = max(one.pts + one.duration for one in coded) - cut
    ordered = [*coded[at:], *coded[:at]]
    shown = [one.pts - cut for one in coded[at:]] + [one.pts - first + behind for one in coded[:at]]
    # Pictures are decoded in the rhythm in which they are shown, early enough for each.
    rhythm = sorted(shown)
    early = max(due - pts for due, pts in zip(rhythm, shown, strict=True))
    with av.open(str(out), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        target = container.add_stream_from_template(stream, opaque=True)
        target.time_base = time_base
        for one, pts, due in zip(ordered, shown, rhythm, strict=True):
            packet = one.packet
            packet.time_base = time_base  # the one before may have been written to another file
            packet.pts, packet.dts, packet.duration = pts + early, due, one.duration
            packet.stream = target
            container.mux_one(packet)
