"""Reads AV1's open bitstream units (OBUs): sequence headers, and where decoding can start.

Sections are those of the AV1 Bitstream & Decoding Process Specification.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vbench.video.codecs.bits import Bits
from vbench.video.codecs.picture_format import PictureFormat

SEQUENCE_HEADER, FRAME_HEADER, FRAME = 1, 3, 6
"""OBU types, 6.2.2."""
_KEY_FRAME = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Obu:
    """One open bitstream unit."""

    type: int
    payload: bytes
    spatial_id: int = 0
    """Spatial layer of a scalable stream; 0 has the smallest pictures."""
    temporal_id: int = 0


def obus(packet: bytes) -> Iterator[Obu]:
    """The OBUs of a packet in the low-overhead format (5.2); ends early if the packet is damaged."""
    at = 0
    while at < len(packet):
        header, extended = packet[at], packet[at] >> 2 & 1
        extension = packet[at + 1] if extended and at + 1 < len(packet) else 0
        at += 1 + extended
        size = len(packet) - at
        if header >> 1 & 1:
            size, at = _leb128(packet, at)
        if at > len(packet):
            return
        yield Obu(
            type=header >> 3 & 15,
            payload=packet[at : at + size],
            spatial_id=extension >> 3 & 3,
            temporal_id=extension >> 5,
        )
        at += size


def sequence_headers(packet: bytes) -> Iterator[bytes]:
    """The payload of each sequence header OBU in a packet."""
    return (obu.payload for obu in obus(packet) if obu.type == SEQUENCE_HEADER)


def configured_sequence_header(extradata: bytes | None) -> bytes | None:
    """The sequence header in an ``av1C`` box's ``configOBUs`` (AV1-ISOBMFF 2.3.3) or in bare OBUs."""
    if not extradata:
        return None
    config = extradata[4:] if extradata[0] == 0x81 else extradata
    return next(sequence_headers(config), None)


def announced_pixels(extradata: bytes | None) -> int:
    """Pixels of the largest picture that a stream's extradata announces; 0 if it announces none."""
    header = configured_sequence_header(extradata)
    try:
        picture = None if header is None else av1_picture_format(header)
    except EOFError:
        return 0
    return 0 if picture is None else picture.width * picture.height


def sequence_header_obu(payload: bytes) -> bytes:
    """A complete OBU, with its size, for a sequence header's payload."""
    size, left = bytearray(), len(payload)
    while left > 0x7F:
        size.append(left & 0x7F | 0x80)
        left >>= 7
    size.append(left)
    return bytes([SEQUENCE_HEADER << 3 | 1 << 1]) + bytes(size) + payload


def shown_frames(packet: bytes) -> int:
    """How many frames of the lowest spatial layer a packet shows; a valid temporal unit shows one."""
    still, count = False, 0
    for obu in obus(packet):
        if obu.type == SEQUENCE_HEADER and obu.payload:
            still = obu.payload[0] >> 3 & 1 == 1  # reduced_still_picture_header: every frame is shown
        elif obu.type in (FRAME_HEADER, FRAME) and obu.payload and obu.spatial_id == 0:
            first = obu.payload[0]  # show_existing_frame u(1), frame_type u(2), show_frame u(1): 5.9.2
            count += still or first >> 7 == 1 or first >> 4 & 1 == 1
    return count


def starts_with_shown_key_frame(packet: bytes) -> bool:
    """Whether a packet's first frame is a shown key frame: only that resets all of a decoder's state.

    A key frame that is shown later ("forward key frame") leaves the other reference frames as they are.
    """
    for obu in obus(packet):
        if obu.type == SEQUENCE_HEADER and obu.payload and obu.payload[0] >> 3 & 1:
            return True  # reduced_still_picture_header: every frame is one
        if obu.type in (FRAME_HEADER, FRAME) and obu.payload:
            first = obu.payload[0]  # show_existing_frame u(1), frame_type u(2), show_frame u(1): 5.9.2
            return first >> 7 == 0 and first >> 5 & 3 == _KEY_FRAME and first >> 4 & 1 == 1
    return False


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 56, 7):
        if at >= len(data):
            return 0, len(data) + 1
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            break
    return value, at


@dataclass(frozen=True, slots=True, kw_only=True)
class Av1Sequence:
    """What a sequence header (5.5) says of its pictures and of its frame headers."""

    picture: PictureFormat
    """Format of pictures of the largest size, the size of frames that state no other."""
    reduced: bool
    """``reduced_still_picture_header``."""
    size_bits: tuple[int, int]
    """Bits of ``frame_width_minus_1`` and ``frame_height_minus_1`` in frame headers."""
    presentation_bits: int
    """Bits of ``frame_presentation_time``; 0 if frames have none."""
    removal_bits: int
    """Bits of ``buffer_removal_time``; 0 if frames have none."""
    operating_points: tuple[int, ...]
    """``operating_point_idc`` of those with a decoder model."""
    id_bits: tuple[int, int]
    """Bits of ``delta_frame_id`` and of a frame's id; (0, 0) if frames have none."""
    order_bits: int
    """``OrderHintBits``."""
    screen_content: int
    """``seq_force_screen_content_tools``: 2 if each frame chooses."""
    integer_vectors: int
    """``seq_force_integer_mv``: 2 if each frame chooses."""
    superres: bool


def av1_picture_format(sequence_header: bytes) -> PictureFormat:
    """The format that a sequence header's payload states; EOFError if it ends too early."""
    return av1_sequence(sequence_header).picture


def av1_sequence(sequence_header: bytes) -> Av1Sequence:
    """What frame headers depend on in a sequence header's payload (5.5).

    Raises:
        EOFError: it ends too early.
    """
    bits = Bits(sequence_header)
    profile = bits.take(3)
    bits.take(1)  # still_picture
    reduced = bits.take(1)
    presentation_bits = removal_bits = 0
    points: tuple[int, ...] = ()
    if reduced:
        bits.take(5)  # seq_level_idx
    else:
        presentation_bits, removal_bits, points = _operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    delta_id_bits = more_id_bits = 0
    if not reduced and bits.take(1):  # frame_id_numbers_present_flag
        delta_id_bits = bits.take(4) + 2
        more_id_bits = bits.take(3) + 1
    bits.take(3)  # use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
    order_bits, screen_content, integer_vectors = (0, 2, 2) if reduced else _tools(bits)
    superres = bits.take(1) == 1
    bits.take(2)  # enable_cdef, enable_restoration
    chroma, depth, matrix, full_range = _colours(bits, profile)
    return Av1Sequence(
        picture=PictureFormat(
            width=width, height=height, chroma=chroma, bit_depth=depth, matrix=matrix, full_range=full_range
        ),
        reduced=reduced == 1,
        size_bits=(width_bits, height_bits),
        presentation_bits=presentation_bits,
        removal_bits=removal_bits,
        operating_points=points,
        id_bits=(delta_id_bits, delta_id_bits + more_id_bits),
        order_bits=order_bits,
        screen_content=screen_content,
        integer_vectors=integer_vectors,
        superres=superres,
    )


def _operating_points(bits: Bits) -> tuple[int, int, tuple[int, ...]]:
    """From ``timing_info_present_flag`` to before ``frame_width_bits_minus_1``.

    Bits of ``frame_presentation_time`` and ``buffer_removal_time``, 0 without, and the operating points that
    have a decoder model.
    """
    delay_bits = removal_bits = presentation_bits = 0
    if bits.take(1):  # timing_info_present_flag
        bits.take(64)
        even = bits.take(1)  # equal_picture_interval
        if even:
            bits.unsigned()
        if bits.take(1):  # decoder_model_info_present_flag
            delay_bits = bits.take(5) + 1
            bits.take(32)  # num_units_in_decoding_tick
            removal_bits = bits.take(5) + 1
            presentation_bits = bits.take(5) + 1
            presentation_bits = 0 if even else presentation_bits
    delays = bits.take(1)  # initial_display_delay_present_flag
    modelled = []
    for _ in range(bits.take(5) + 1):
        point = bits.take(12)  # operating_point_idc
        if bits.take(5) > 7:  # seq_level_idx
            bits.take(1)  # seq_tier
        if delay_bits and bits.take(1):  # decoder_model_present_for_this_op
            bits.take(2 * delay_bits + 1)
            modelled.append(point)
        if delays and bits.take(1):
            bits.take(4)
    return presentation_bits, removal_bits, tuple(modelled)


def _tools(bits: Bits) -> tuple[int, int, int]:
    """From ``enable_interintra_compound`` to before ``enable_superres``.

    ``OrderHintBits``, ``seq_force_screen_content_tools`` and ``seq_force_integer_mv``.
    """
    bits.take(4)
    ordered = bits.take(1)  # enable_order_hint
    if ordered:
        bits.take(2)
    screen_content = 2 if bits.take(1) else bits.take(1)  # seq_choose_screen_content_tools
    integer_vectors = 2
    if screen_content and not bits.take(1):  # seq_choose_integer_mv
        integer_vectors = bits.take(1)
    return bits.take(3) + 1 if ordered else 0, screen_content, integer_vectors


def _colours(bits: Bits, profile: int) -> tuple[int, int, int, bool]:
    """``color_config`` (5.5.2): chroma format, bit depth, matrix, full range."""
    depth = 10 if bits.take(1) else 8
    if profile == 2 and depth == 10 and bits.take(1):
        depth = 12
    grey = profile != 1 and bits.take(1) == 1
    primaries, transfer, matrix = (bits.take(8), bits.take(8), bits.take(8)) if bits.take(1) else (2, 2, 2)
    if not grey and (primaries, transfer, matrix) == (1, 13, 0):  # sRGB
        return 3, depth, matrix, True
    full_range = bits.take(1) == 1
    if grey:
        return 0, depth, matrix, full_range
    if profile == 2 and depth == 12:
        return (1 if bits.take(1) else 2) if bits.take(1) else 3, depth, matrix, full_range
    return {0: 1, 1: 3}.get(profile, 2), depth, matrix, full_range
