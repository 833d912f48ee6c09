"""Joins recordings as tools do that copy packets: one set of extradata, the rest in-band or not at all."""

from collections.abc import Callable
from pathlib import Path

import av
from av.packet import Packet

from vbench.video.codecs.state_units import configured_units

Edit = Callable[[int, bytes], bytes | list[bytes]]


def in_band_sets(path: Path) -> bytes:
    """The parameter sets in a clip's extradata, as they stand in a packet (4 bytes of length each)."""
    with av.open(str(path)) as clip:
        context = clip.streams.video[0].codec_context
        assert context.extradata is not None
        units = configured_units(context.codec.canonical_name, context.extradata)
        kept = [unit for unit in units if context.codec.canonical_name == "h264" or unit[0] >> 1 & 63 < 39]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in kept)


def packets_of(path: Path) -> list[bytes]:
    """The data of a clip's packets, in decoding order."""
    with av.open(str(path)) as clip:
        return [bytes(packet) for packet in clip.demux(clip.streams.video[0]) if packet.size]


def join(first: Path, second: Path | None, out: Path, edit: Edit = lambda number, data: data) -> Path:
    """``second``'s packets after ``first``'s, under ``first``'s extradata.

    ``edit`` gets each packet's number and data and gives its new data; of a list, all but the last become
    packets of their own, just before.
    """
    with av.open(str(first)) as opened, av.open(str(out), "w") as target:
        stream = opened.streams.video[0]
        copied = target.add_stream_from_template(stream, opaque=True)
        copied.time_base = stream.time_base
        packets = [(packet, 0) for packet in opened.demux(stream) if packet.size]
        if second is not None:
            end = max((packet.pts or 0) + (packet.duration or 0) for packet, _ in packets)
            with av.open(str(second)) as other:
                packets += [(packet, end) for packet in other.demux(other.streams.video[0]) if packet.size]
        for number, (packet, shift) in enumerate(packets):
            edited = edit(number, bytes(packet))
            parts = edited if isinstance(edited, list) else [edited]
            for left, data in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
                if not data:
                    continue
                made: Packet[av.VideoStream] = Packet(data)
                made.pts, made.dts = (packet.pts or 0) + shift - left, (packet.dts or 0) + shift - left
                made.duration, made.is_keyframe = packet.duration, packet.is_keyframe and not left
                made.time_base, made.stream = stream.time_base, copied
                target.mux_one(made)
    return out
