"""Writes packets of a video stream, unchanged, into a NUT file in memory."""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.stream import VideoStream


def to_nut(
    stream: VideoStream,
    packets: Sequence[Packet[VideoStream]],
    pts: Sequence[int],
    prefixes: Mapping[int, bytes] | None = None,
) -> tuple[npt.NDArray[np.uint8], int]:
    """A NUT file with the given packets.

    Args:
        stream: where they come from; provides codec, extradata and time base.
        packets: in decoding order; their timestamps are overwritten, their data is not copied, and they can
            be written again.
        pts: PTS of each packet, in ticks of ``stream.time_base``.
        prefixes: bytes to write before the data of a packet, by its position in ``packets``.

    Returns:
        The file as uint8[B], and the ticks added to every PTS: NUT refuses negative timestamps. DTS are made
        up, the latest that increase and exceed no PTS: NUT stores none, and in some containers they are
        missing or out of order.
    """
    file = io.BytesIO()
    time_base = stream.time_base
    assert time_base is not None
    dts = _dts(pts)
    shift = -dts[0]
    with av.open(file, "w", format="nut") as container:
        # opaque: AV1's decoder has no encoder of the same name, which PyAV would look for.
        target = container.add_stream_from_template(stream, opaque=True)
        target.time_base = time_base
        for at, (packet, packet_pts, packet_dts) in enumerate(zip(packets, pts, dts, strict=True)):
            if prefixes and at in prefixes:
                packet = _prefixed(prefixes[at], packet)  # noqa: PLW2901 - the given packet stays as it is
            packet.time_base = Fraction(time_base)  # the one before may have been written to another file
            packet.pts, packet.dts, packet.duration = packet_pts + shift, packet_dts + shift, 0
            packet.stream = target
            container.mux_one(packet)
    return np.frombuffer(file.getbuffer(), np.uint8), shift


def _prefixed(prefix: bytes, packet: Packet[VideoStream]) -> Packet[VideoStream]:
    """A packet with the data of ``packet`` after ``prefix``."""
    longer = cast("Packet[VideoStream]", Packet(prefix + bytes(packet)))
    longer.is_keyframe = packet.is_keyframe
    return longer


def _dts(pts: Sequence[int]) -> list[int]:
    """Strictly increasing, each the latest that exceeds neither its own PTS nor a later packet's."""
    times = [0] * len(pts)
    bound = None
    for at in range(len(pts) - 1, -1, -1):
        bound = pts[at] if bound is None else min(pts[at], bound - 1)
        times[at] = bound
    return times
