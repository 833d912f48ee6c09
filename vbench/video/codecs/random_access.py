"""Reads from coded pictures whether decoding can start there, and whether decoders output them at all."""

from collections.abc import Sequence

from vbench.video.codecs.av1_obu import starts_with_shown_key_frame
from vbench.video.codecs.nal_types import (
    H264_IDR,
    H264_NON_PICTURES,
    H264_PICTURES,
    H264_SEI,
    H264_SHORT,
    HEVC_IRAP,
    HEVC_NON_PICTURES,
    HEVC_PICTURES,
    HEVC_SHORT,
    SEI_RECOVERY_POINT,
)
from vbench.video.codecs.packet_reader import PacketReader, sei_messages
from vbench.video.codecs.vpx_headers import is_random_access_vp8, is_random_access_vp9


def is_random_access(reader: PacketReader, packet: bytes) -> bool:
    """Whether a decoder that starts at this packet is exact from it on, in output order.

    The packet's own bytes say so, whatever the container's keyframe flag. H.264: an IDR picture, or a
    recovery point with ``recovery_frame_cnt == 0`` and ``exact_match_flag`` (ITU-T H.264 D.2.8). HEVC: an
    IRAP picture. AV1: a key frame that is shown at once. VP9: a key frame. VP8: a key frame that resets the
    segment map.
    """
    if reader.codec == "h264":
        return _is_h264_random_access(reader, packet)
    if reader.codec == "hevc":
        return reader.hevc_type(packet) in HEVC_IRAP
    if reader.codec == "av1":
        return starts_with_shown_key_frame(packet)
    return is_random_access_vp8(packet) if reader.codec == "vp8" else is_random_access_vp9(packet)


def is_idr(reader: PacketReader, packet: bytes) -> bool:
    """Whether an H.264 packet contains an IDR picture."""
    header = reader.picture_header(packet, H264_PICTURES)
    return header is not None and reader.type_of(header) == H264_IDR


def refreshes_gradually(reader: PacketReader, packet: bytes) -> bool:
    """Whether decoding can start there but is exact only some pictures later (H.264 intra refresh)."""
    return reader.codec == "h264" and any(
        kind == SEI_RECOVERY_POINT
        for sei in reader.units_of_type(packet, H264_SEI)
        for kind, _ in sei_messages(sei[1:])
    )


def has_no_picture(reader: PacketReader, packet: bytes) -> bool:
    """Whether an H.264 or HEVC packet contains parameter sets and the like, but no part of a picture."""
    if reader.codec not in ("h264", "hevc"):
        return False
    pictures = H264_PICTURES if reader.codec == "h264" else HEVC_PICTURES
    first = reader.type_of(packet[reader.length_bytes : reader.length_bytes + 1] or b"\xff")
    if reader.length_bytes and first in pictures:  # as nearly all packets begin
        return False
    return reader.picture_header(packet, pictures) is None


def unexpected_unit_type(reader: PacketReader, packet: bytes) -> int | None:
    """Type of the first NAL unit that neither belongs to a picture nor may accompany one; None if there is
    none.

    In a packet without a picture, such a unit is a picture whose header is damaged: decoders ignore types
    that they do not know. Access unit delimiters and ends of sequence and stream have at most 2 bytes, 3 in
    HEVC.
    """
    h264 = reader.codec == "h264"
    known, short = (H264_NON_PICTURES, H264_SHORT) if h264 else (HEVC_NON_PICTURES, HEVC_SHORT)
    for kind, unit in reader.units(packet):
        if kind not in known or (kind in short and len(unit.rstrip(b"\0")) > (2 if h264 else 3)):
            return kind
    return None


def is_hidden(reader: PacketReader, packet: Sequence[int]) -> bool:
    """Whether the packet contains a picture that decoders never output (VP8's and VP9's alternate
    references)."""
    if not packet:
        return True
    if reader.codec == "vp8":  # RFC 6386, 9.1: show_frame is bit 4 of the frame tag
        return not packet[0] >> 4 & 1
    if reader.codec == "vp9":
        return _is_hidden_vp9(packet)
    return False


def _is_h264_random_access(reader: PacketReader, packet: bytes) -> bool:
    start = reader.picture_start(packet, H264_PICTURES)
    if start == len(packet):
        return False
    if packet[start] & 31 == H264_IDR:
        return True
    return any(_is_exact_recovery_point(sei[1:]) for sei in reader.units_of_type(packet[:start], H264_SEI))


def _is_exact_recovery_point(sei: bytes) -> bool:
    """Whether an SEI NAL unit (without header) says that decoding is exact from this very picture on."""
    for kind, payload in sei_messages(sei):
        if kind == SEI_RECOVERY_POINT and payload:
            # ue(v) recovery_frame_cnt is 0 if its first bit is 1; the next bit is exact_match_flag.
            return payload[0] >> 6 == 0b11
    return False


def _is_hidden_vp9(packet: Sequence[int]) -> bool:
    """VP9 bitstream specification, annex B (superframes) and 6.2 (uncompressed header)."""
    if packet[-1] >> 5 == 0b110:  # a superframe: its last picture is shown
        return False
    bits = packet[0]
    profile = (bits >> 5 & 1) | (bits >> 4 & 1) << 1
    at = 3 - (profile == 3)  # profile 3 has one more reserved bit
    show_existing_frame = bits >> at & 1
    show_frame = bits >> (at - 2) & 1
    return not show_existing_frame and not show_frame
