"""Finds the NAL units in packets of H.264 and HEVC streams, and the messages in SEI units."""

from collections.abc import Container, Iterator
from dataclasses import dataclass

from vbench.video.codecs.bits import unescaped
from vbench.video.codecs.nal_types import HEVC_PICTURES
from vbench.video.errors import VideoError

START_CODE = b"\0\0\1"
"""Before each NAL unit, ITU-T H.264 annex B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketReader:
    """Knows a stream's codec, and how its packets delimit NAL units.

    The methods read no further than they must and copy no other unit, so that they can be applied to every
    packet of a long video. They apply to H.264 and HEVC only.
    """

    codec: str
    """``h264``, ``hevc``, ``vp8``, ``vp9`` or ``av1``."""
    length_bytes: int
    """Bytes of the length before each NAL unit; 0: start codes (ITU-T H.264 annex B)."""

    @classmethod
    def of(cls, codec: str, extradata: bytes | None) -> "PacketReader":
        """A reader for a stream with this extradata (``avcC``, ``hvcC``, annex B or none)."""
        length = 0
        if extradata and extradata[0] == 1:  # configurationVersion of avcC and hvcC, ISO/IEC 14496-15
            at = {"h264": 4, "hevc": 21}.get(codec)
            if at is not None and len(extradata) > at:
                length = (extradata[at] & 3) + 1
        return cls(codec=codec, length_bytes=length)

    def type_of(self, unit: bytes) -> int:
        """The type in a NAL unit's header, of which one byte is enough."""
        return unit[0] & 31 if self.codec == "h264" else unit[0] >> 1 & 63

    def types(self, packet: bytes) -> Iterator[int]:
        """The type of each NAL unit."""
        return (self.type_of(packet[start : start + 1]) for start in self._starts(packet))

    def units(self, packet: bytes) -> Iterator[tuple[int, bytes]]:
        """Type and bytes, header included, of each NAL unit."""
        for start in self._starts(packet):
            yield self.type_of(packet[start : start + 1]), packet[start : self._end(packet, start)]

    def units_of_types(self, packet: bytes, kinds: Container[int]) -> Iterator[tuple[int, bytes]]:
        """Type and bytes, header included, of each NAL unit of one of these types, in the packet's order."""
        for start in self._starts(packet):
            kind = self.type_of(packet[start : start + 1])
            if kind in kinds:
                yield kind, packet[start : self._end(packet, start)]

    def units_of_type(self, packet: bytes, kind: int) -> Iterator[bytes]:
        """The NAL units of one type, header included."""
        return (unit for _, unit in self.units_of_types(packet, (kind,)))

    def heads(self, packet: bytes, kinds: Container[int], count: int) -> Iterator[bytes]:
        """The first ``count`` bytes of each NAL unit of one of these types, fewer if the unit is shorter."""
        for start in self._starts(packet):
            if self.type_of(packet[start : start + 1]) in kinds:
                yield packet[start : min(start + count, self._end(packet, start))]

    def picture_head(self, packet: bytes, pictures: Container[int], count: int) -> bytes | None:
        """The first of ``heads``; None if there is none."""
        return next(self.heads(packet, pictures, count), None)

    def picture_header(self, packet: bytes, pictures: Container[int]) -> bytes | None:
        """The first two bytes of the first NAL unit of a type in ``pictures``; None if there is none."""
        for start in self._starts(packet):
            header = packet[start : start + 2]
            if self.type_of(header) in pictures:
                return header
        return None

    def picture_start(self, packet: bytes, pictures: Container[int]) -> int:
        """Where the first NAL unit of a type in ``pictures`` has its header; without one, the packet's
        end."""
        starts = (at for at in self._starts(packet) if self.type_of(packet[at : at + 1]) in pictures)
        return next(starts, len(packet))

    def hevc_type(self, packet: bytes) -> int:
        """NAL unit type of the picture in an HEVC packet; -1 if there is none."""
        header = self.picture_header(packet, HEVC_PICTURES)
        return -1 if header is None else self.type_of(header)

    def length_fault(self, packet: bytes) -> tuple[int, int] | None:
        """The length of the first NAL unit that is empty or does not fit, and the bytes left; None if all
        fit.

        Bytes after the last unit that are too few for a length are padding, as in FFmpeg, for which an empty
        unit is an error. Otherwise a packet of zeros would pass for one without a picture.
        """
        width = self.length_bytes
        if not width or packet[:4] == b"\0" + START_CODE:  # a start code after all, which decoders accept
            return None
        at = 0
        while at <= len(packet) - width:
            length, at = int.from_bytes(packet[at : at + width], "big"), at + width
            if not 0 < length <= len(packet) - at:
                return length, len(packet) - at
            at += length
        return None

    def has_start_codes(self, packet: bytes) -> bool:
        """Whether FFmpeg takes an H.264 packet for one of annex B, although its units should have lengths."""
        if self.codec != "h264" or self.length_bytes != 4 or packet[:4] != b"\0" + START_CODE:
            return False
        return len(packet) > 8 and int.from_bytes(packet[5:9], "big") > len(packet)

    def framed(self, unit: bytes) -> bytes:
        """A NAL unit as it stands in the stream's packets: after its length, or after a start code.

        Raises:
            VideoError: the unit, from the extradata, is longer than the stream's lengths can express.
        """
        if self.length_bytes:
            if len(unit) >> 8 * self.length_bytes:
                raise VideoError(
                    f"the video has a parameter set of {len(unit)} bytes, which its NAL unit lengths of "
                    f"{self.length_bytes} byte cannot express: export it again from the source"
                )
            return len(unit).to_bytes(self.length_bytes, "big") + unit
        return b"\0" + START_CODE + unit

    def _starts(self, packet: bytes) -> Iterator[int]:
        """Where each NAL unit's header is, searched one by one."""
        if self.length_bytes:
            at = 0
            while at + self.length_bytes < len(packet):
                start = at + self.length_bytes
                at = self._end(packet, start)
                if at > start:
                    yield start
        else:
            at = packet.find(START_CODE)
            while at >= 0:
                start = at + len(START_CODE)
                at = packet.find(START_CODE, start)
                if len(packet) > start != at:
                    yield start

    def _end(self, packet: bytes, start: int) -> int:
        """Where the NAL unit that begins at ``start`` ends."""
        if self.length_bytes:
            return start + int.from_bytes(packet[start - self.length_bytes : start], "big")
        end = packet.find(START_CODE, start)
        return end if end >= 0 else len(packet)


def sei_messages(sei: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each message in an SEI NAL unit without its header (ITU-T H.264 7.3.2.3.1)."""
    data = unescaped(sei)
    at = 0
    while at + 2 < len(data):
        kind, at = _sei_number(data, at)
        size, at = _sei_number(data, at)
        yield kind, data[at : at + size]
        at += size


def _sei_number(data: bytes, at: int) -> tuple[int, int]:
    """A number coded as a run of 0xFF and a last byte (ITU-T H.264 7.3.2.3.1), and where it ends."""
    value = 0
    while at < len(data) and data[at] == 0xFF:
        value += 255
        at += 1
    if at < len(data):
        value += data[at]
    return value, at + 1
