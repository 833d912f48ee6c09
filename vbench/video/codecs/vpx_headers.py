"""Reads the headers of VP8 (RFC 6386) and VP9 frames: size, format, colours, and what a key frame resets.

Sections without a document are those of the VP9 Bitstream & Decoding Process Specification.
"""

from collections.abc import Iterator

from vbench.video.codecs.bits import Bits
from vbench.video.codecs.picture_format import PictureFormat

_VP9_MATRICES = (2, 5, 1, 6, 7, 9, 2, 0)
"""VP9's ``color_space`` as matrix coefficients of ITU-T H.273 (7.2.2)."""
_VP9_RGB = 7
_VP8_START = b"\x9d\x01\x2a"
_VP9_SYNC = 0x498342


def vp8_picture_format(packet: bytes) -> PictureFormat | None:
    """The format in a VP8 key frame's header (RFC 6386 9.1, 9.2); None for another frame."""
    if len(packet) < 12 or packet[0] & 1 or packet[3:6] != _VP8_START:
        return None
    bits = _BoolDecoder(packet[10:])
    bits.flag()  # color_space
    # FFmpeg takes clamping_type, which says whether values need to be clamped, for the range.
    return PictureFormat(
        width=int.from_bytes(packet[6:8], "little") & 0x3FFF,
        height=int.from_bytes(packet[8:10], "little") & 0x3FFF,
        chroma=1,
        bit_depth=8,
        matrix=5,
        full_range=bits.flag(),
    )


def is_random_access_vp8(packet: bytes) -> bool:
    """Whether a VP8 frame is a key frame that also resets the segment map (RFC 6386 9.3)."""
    if vp8_picture_format(packet) is None:
        return False
    bits = _BoolDecoder(packet[10:])
    bits.flag()
    bits.flag()
    return not bits.flag() or bits.flag()  # segmentation_enabled, update_mb_segmentation_map


def vp9_picture_formats(packet: bytes) -> Iterator[PictureFormat]:
    """The formats in the headers of a VP9 packet's frames, of those that state a size themselves.

    ``chroma`` and ``bit_depth`` are -1 if only the size is stated.
    """
    for frame in vp9_frames(packet):
        try:
            stated = _vp9_frame_format(Bits(frame[:40]))
        except EOFError:
            continue  # no decoder reads it
        if stated is not None:
            yield stated


def is_random_access_vp9(packet: bytes) -> bool:
    """Whether the first frame of a VP9 packet is a key frame, which resets all of a decoder's state."""
    try:
        bits = Bits(next(vp9_frames(packet))[:2])
        profile = _vp9_profile(bits)
        return profile is not None and not bits.take(1) and not bits.take(1)
    except (EOFError, StopIteration):
        return False


def vp9_frames(packet: bytes) -> Iterator[bytes]:
    """The frames of a packet: one, or those of a superframe (annex B)."""
    marker = packet[-1] if packet else 0
    count, width = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index = 2 + count * width
    if marker >> 5 != 0b110 or len(packet) < index or packet[-index] != marker:
        yield packet
        return
    at, sizes = 0, packet[-index + 1 : -1]
    for number in range(count):
        size = int.from_bytes(sizes[number * width : (number + 1) * width], "little")
        yield packet[at : at + size]
        at += size


def _vp9_profile(bits: Bits) -> int | None:
    """``frame_marker`` to before ``show_existing_frame``; None if no frame begins here."""
    if bits.take(2) != 0b10:
        return None
    profile = bits.take(1) | bits.take(1) << 1
    if profile == 3:
        bits.take(1)
    return profile


def _vp9_frame_format(bits: Bits) -> PictureFormat | None:
    """``uncompressed_header`` up to ``frame_size`` (6.2); None if the frame has the size of a reference."""
    profile = _vp9_profile(bits)
    if profile is None or bits.take(1):  # show_existing_frame
        return None
    inter, shown, resilient = bits.take(1), bits.take(1), bits.take(1)
    if not inter:
        if bits.take(24) != _VP9_SYNC:
            return None
        return _vp9_size(bits, *_vp9_colours(bits, profile))
    intra_only = 0 if shown else bits.take(1)
    if not resilient:
        bits.take(2)  # reset_frame_context
    if intra_only:
        bits.take(24)
        colours = _vp9_colours(bits, profile) if profile else (1, 8, 5, False)
        bits.take(8)  # refresh_frame_flags
        return _vp9_size(bits, *colours)
    bits.take(8 + 3 * 4)  # refresh_frame_flags, references and their signs
    if any(bits.take(1) for _ in range(3)):  # found_ref; stops at the first
        return None
    return _vp9_size(bits, -1, -1, None, None)


def _vp9_size(
    bits: Bits, chroma: int, depth: int, matrix: int | None, full_range: bool | None
) -> PictureFormat:
    width, height = bits.take(16) + 1, bits.take(16) + 1
    return PictureFormat(
        width=width, height=height, chroma=chroma, bit_depth=depth, matrix=matrix, full_range=full_range
    )


def _vp9_colours(bits: Bits, profile: int) -> tuple[int, int, int, bool]:
    """``color_config`` (6.2.2): chroma format, bit depth, matrix, full range."""
    depth = 10 + 2 * bits.take(1) if profile >= 2 else 8
    space = bits.take(3)
    if space == _VP9_RGB:
        if profile & 1:
            bits.take(1)
        return 3, depth, 0, True
    full_range = bits.take(1) == 1
    chroma = 1
    if profile & 1:
        chroma = {(1, 1): 1, (1, 0): 2, (0, 0): 3}.get((bits.take(1), bits.take(1)), 4)  # 4: 4:4:0
        bits.take(1)
    return chroma, depth, _VP9_MATRICES[space], full_range


class _BoolDecoder:
    """VP8's arithmetic decoder (RFC 6386 7.3), for flags of even odds."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._value = int.from_bytes(data[:2].ljust(2, b"\0"), "big")
        self._at, self._range, self._shifted = 2, 255, 0

    def flag(self) -> bool:
        split = 1 + (self._range - 1 >> 1)
        flag = self._value >= split << 8
        if flag:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._value <<= 1
            self._range <<= 1
            self._shifted += 1
            if self._shifted == 8:
                self._shifted = 0
                self._value |= self._data[self._at] if self._at < len(self._data) else 0
                self._at += 1
        return flag
