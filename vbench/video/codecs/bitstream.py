"""Reads from coded pictures what containers do not say: clean places to start decoding, hidden pictures."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from vbench.video.codecs.av1_obu import starts_with_shown_key_frame
from vbench.video.codecs.bits import unescaped
from vbench.video.codecs.vpx_headers import is_clean_vp8, is_clean_vp9
from vbench.video.errors import VideoError

H264_SLICE, H264_IDR, H264_SEI = 1, 5, 6
H264_PICTURES = range(1, 6)
"""NAL unit types, ITU-T H.264 table 7-1; 1 to 5 carry picture data."""
HEVC_LEADING = (6, 7, 8, 9)
HEVC_RASL = (8, 9)
"""Skipped leading pictures: they refer to pictures before the entry that they follow."""
HEVC_SUB_LAYER_NON_REFERENCE = range(0, 16, 2)
"""TRAIL_N to RSV_VCL_N14: nothing of the same temporal sub-layer refers to them."""
HEVC_BLA = (16, 17, 18)
HEVC_IDR = (19, 20)
HEVC_IRAP = range(16, 24)
HEVC_CRA = 21
HEVC_PICTURES = range(32)
"""NAL unit types, ITU-T H.265 table 7-1; below 32 they carry picture data."""
H264_SHORT, HEVC_SHORT = (9, 10, 11), (35, 36, 37)
"""Access unit delimiter, end of sequence, end of stream: ITU-T H.264 table 7-1, H.265 table 7-1."""
H264_OTHERS, HEVC_OTHERS = (*range(6, 14), 15), range(32, 41)
"""Parameter sets, SEI, filler data, and the short ones."""
SEI_RECOVERY_POINT = 6
START_CODE = b"\0\0\1"
"""Before each NAL unit, ITU-T H.264 annex B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketReader:
    """Knows a codec, and how its NAL units are told apart in a packet."""

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

    def is_clean_entry(self, packet: bytes) -> bool:
        """Whether a decoder that starts at this packet is exact from it on, in the order of showing.

        The packet's own bytes say so, whatever the container marks as a keyframe. H.264: an IDR picture, or a
        recovery point with ``recovery_frame_cnt == 0`` and ``exact_match_flag`` (clause D.2.8). HEVC: an IRAP
        picture. AV1: a key frame that is shown at once. VP8 and VP9: a key frame.
        """
        if self.codec == "h264":
            return self._is_clean_h264(packet)
        if self.codec == "hevc":
            return self.hevc_type(packet) in HEVC_IRAP
        others = {"av1": starts_with_shown_key_frame, "vp8": is_clean_vp8, "vp9": is_clean_vp9}
        return others[self.codec](packet)

    def is_pictureless(self, packet: bytes) -> bool:
        """Whether an H.264 or HEVC packet holds parameter sets and the like, but no part of a picture."""
        if self.codec not in ("h264", "hevc"):
            return False
        pictures = H264_PICTURES if self.codec == "h264" else HEVC_PICTURES
        first = self._type(packet[self.length_bytes : self.length_bytes + 1] or b"\xff")
        if self.length_bytes and first in pictures:  # as nearly all begin
            return False
        return self.picture_header(packet, pictures) is None

    def stray_type(self, packet: bytes) -> int | None:
        """The type of the first NAL unit that is not of a picture and may not accompany one, or None.

        In a packet without a picture such a unit is a picture whose header is damaged: decoders leave out
        what they do not know. Access unit delimiters and ends of sequence and of stream have 2 bytes at most,
        3 in HEVC.
        """
        known, short = (H264_OTHERS, H264_SHORT) if self.codec == "h264" else (HEVC_OTHERS, HEVC_SHORT)
        most = 2 if self.codec == "h264" else 3
        for start in self._starts(packet):
            kind = self._type(packet[start : start + 1])
            length = len(packet[start : self._end(packet, start)].rstrip(b"\0"))
            if kind not in known or (kind in short and length > most):
                return kind
        return None

    def is_hidden(self, packet: Sequence[int]) -> bool:
        """Whether the packet holds a picture that is never shown (VP8's and VP9's alternate references)."""
        if not packet:
            return True
        if self.codec == "vp8":  # RFC 6386, 9.1: show_frame is bit 4 of the frame tag
            return not packet[0] >> 4 & 1
        if self.codec == "vp9":
            return _is_hidden_vp9(packet)
        return False

    def is_idr(self, packet: bytes) -> bool:
        """Whether an H.264 packet holds an IDR picture."""
        header = self.picture_header(packet, H264_PICTURES)
        return header is not None and self._type(header) == H264_IDR

    def hevc_type(self, packet: bytes) -> int:
        """NAL unit type of the picture in an HEVC packet; -1 where there is none."""
        header = self.picture_header(packet, HEVC_PICTURES)
        return -1 if header is None else self._type(header)

    def picture_header(self, packet: bytes, pictures: Container[int]) -> bytes | None:
        """The first two bytes of the first NAL unit that is of a type in ``pictures``; None where none is.

        Reads no further than that, so that it can be asked of every packet of a long video.
        """
        return next((header for header in self._headers(packet) if self._type(header) in pictures), None)

    def picture_head(self, packet: bytes, pictures: Container[int], count: int) -> bytes | None:
        """As ``picture_header``, but ``count`` bytes, less if the NAL unit is shorter."""
        for start in self._starts(packet):
            if self._type(packet[start : start + 1]) in pictures:
                return packet[start : min(start + count, self._end(packet, start))]
        return None

    def picture_start(self, packet: bytes, pictures: Container[int]) -> int:
        """Where the first NAL unit of a type in ``pictures`` has its header; without one the packet's end."""
        starts = (at for at in self._starts(packet) if self._type(packet[at : at + 1]) in pictures)
        return next(starts, len(packet))

    def length_fault(self, packet: bytes) -> tuple[int, int] | None:
        """The length of the first NAL unit that is empty or ends behind the packet, and the bytes left.

        None if all fit. Bytes behind the last unit that are too few for a length are padding, as FFmpeg takes
        them; an empty unit is an error to it. A packet of zeros would else pass for one without a picture.
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
        """Whether FFmpeg takes an H.264 packet for one of annex B, though its units are to have lengths."""
        if self.codec != "h264" or self.length_bytes != 4 or packet[:4] != b"\0" + START_CODE:
            return False
        return len(packet) > 8 and int.from_bytes(packet[5:9], "big") > len(packet)

    def heads(self, packet: bytes, kinds: Container[int], count: int) -> Iterator[bytes]:
        """The first ``count`` bytes of each NAL unit of one of these types, less if the unit is shorter."""
        for start in self._starts(packet):
            if self._type(packet[start : start + 1]) in kinds:
                yield packet[start : min(start + count, self._end(packet, start))]

    def types(self, packet: bytes) -> Iterator[int]:
        """The type of each NAL unit."""
        return (self._type(header) for header in self._headers(packet))

    def units_of_type(self, packet: bytes, kind: int) -> Iterator[bytes]:
        """The NAL units of one type, header included."""
        return (unit for _, unit in self.units_of_types(packet, (kind,)))

    def units_of_types(self, packet: bytes, kinds: Container[int]) -> Iterator[tuple[int, bytes]]:
        """Type and bytes (header included) of each NAL unit of one of these types, in the packet's order.

        Copies no other unit, so that it can be asked of every packet of a long video.
        """
        for start in self._starts(packet):
            kind = self._type(packet[start : start + 1])
            if kind in kinds:
                yield kind, packet[start : self._end(packet, start)]

    def framed(self, unit: bytes) -> bytes:
        """A NAL unit as it stands in the stream's packets: behind its length, or behind a start code.

        Raises:
            VideoError: the unit, from the extradata, is longer than the packets' lengths can say.
        """
        if self.length_bytes:
            if len(unit) >> 8 * self.length_bytes:
                raise VideoError(
                    f"the video has a parameter set of {len(unit)} bytes, and NAL unit lengths of "
                    f"{self.length_bytes} byte that cannot say so: write it again from the source"
                )
            return len(unit).to_bytes(self.length_bytes, "big") + unit
        return b"\0" + START_CODE + unit

    def _type(self, unit: bytes) -> int:
        return unit[0] & 31 if self.codec == "h264" else unit[0] >> 1 & 63

    def _headers(self, packet: bytes) -> Iterator[bytes]:
        """The first two bytes of each NAL unit."""
        return (packet[start : start + 2] for start in self._starts(packet))

    def refreshes_gradually(self, packet: bytes) -> bool:
        """Whether decoding can begin there, and is exact only some pictures later (H.264, intra refresh)."""
        return self.codec == "h264" and any(
            kind == SEI_RECOVERY_POINT
            for sei in self.units_of_type(packet, H264_SEI)
            for kind, _ in sei_messages(sei[1:])
        )

    def _is_clean_h264(self, packet: bytes) -> bool:
        recovers = False
        for start in self._starts(packet):
            kind = packet[start] & 31
            if kind == H264_IDR:
                return True
            if kind == H264_SEI:
                recovers = recovers or _is_exact_recovery_point(packet[start + 1 : self._end(packet, start)])
            elif H264_SLICE <= kind < H264_IDR:
                return recovers
        return False

    def _starts(self, packet: bytes) -> Iterator[int]:
        """Where each NAL unit's header is, looked for one by one."""
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


def _is_exact_recovery_point(sei: bytes) -> bool:
    """Whether an SEI NAL unit (without header) says that decoding is exact from this very picture on."""
    for kind, payload in sei_messages(sei):
        if kind == SEI_RECOVERY_POINT and payload:
            # ue(v) recovery_frame_cnt is 0 if its first bit is 1; the next bit is exact_match_flag.
            return payload[0] >> 6 == 0b11
    return False


def _sei_number(data: bytes, at: int) -> tuple[int, int]:
    """A number coded as a run of 0xFF and a last byte (ITU-T H.264 7.3.2.3.1), and where it ends."""
    value = 0
    while at < len(data) and data[at] == 0xFF:
        value += 255
        at += 1
    if at < len(data):
        value += data[at]
    return value, at + 1


def _is_hidden_vp9(packet: Sequence[int]) -> bool:
    """VP9 bitstream specification, annex B (superframes) and 6.2 (uncompressed header)."""
    if packet[-1] >> 5 == 0b110:  # a superframe: its last picture is shown
        return False
    bits = packet[0]
    profile = (bits >> 5 & 1) | (bits >> 4 & 1) << 1
    at = 3 - (profile == 3)  # profile 3 has a reserved bit more
    show_existing = bits >> at & 1
    shown = bits >> (at - 2) & 1
    return not show_existing and not shown
