"""Reads the size of each shown frame from AV1 frame headers: frames may change their size."""

import math
from collections.abc import Iterator
from dataclasses import replace

from vbench.video.codecs.av1_obu import (
    FRAME,
    FRAME_HEADER,
    SEQUENCE_HEADER,
    Av1Sequence,
    Obu,
    av1_sequence,
    obus,
)
from vbench.video.codecs.bits import Bits
from vbench.video.codecs.picture_format import PictureFormat

_KEY, _INTRA_ONLY, _SWITCH = 0, 2, 3
"""``frame_type``, AV1 bitstream specification 6.8.2."""
_SLOTS, _REFERENCES = 8, 7
"""NUM_REF_FRAMES and REFS_PER_FRAME, clause 3."""
_HEAD_BYTES = 256
"""Bytes of a frame header that are read: more than enough to reach the frame's size."""

_Size = tuple[int, int]
"""Width after super-resolution, and height."""


class Av1FrameSizes:
    """Follows a stream's frames in decoding order, and the sizes in its reference slots."""

    def __init__(self) -> None:
        self._sequence: Av1Sequence | None = None
        self._slots: list[_Size | None] = [None] * _SLOTS
        self.largest: _Size = 0, 0
        """Size of the frame with the most pixels so far, shown or not."""

    def add_sequence_header(self, sequence_header: bytes) -> None:
        """Add a sequence header's payload; a damaged one is ignored."""
        try:
            self._sequence = av1_sequence(sequence_header)
        except EOFError:
            return

    def shown_formats(self, packet: bytes) -> Iterator[PictureFormat]:
        """The format of each frame that a packet shows, in order.

        If its header cannot be read, or the stream has spatial layers, a frame counts as one of the
        sequence's own size.
        """
        units = list(obus(packet))
        layered = any(unit.spatial_id for unit in units)
        for unit in units:
            if unit.type == SEQUENCE_HEADER:
                self.add_sequence_header(unit.payload)
            elif unit.type in (FRAME_HEADER, FRAME) and self._sequence is not None:
                try:
                    shown, size = self._frame(unit, self._sequence)
                except EOFError:
                    shown, size = True, None
                if shown:
                    picture = self._sequence.picture
                    if size is not None and not layered:
                        picture = replace(picture, width=size[0], height=size[1])
                    yield picture

    def _frame(self, unit: Obu, sequence: Av1Sequence) -> tuple[bool, _Size | None]:
        """Whether a frame is shown, and its size or None if unknown (``uncompressed_header``, 5.9.2)."""
        bits = Bits(unit.payload[:_HEAD_BYTES])
        kind, shown, resilient = _KEY, True, True
        if not sequence.reduced:
            if bits.take(1):  # show_existing_frame
                size = self._slots[bits.take(3)]
                return True, size
            kind, shown = bits.take(2), bits.take(1) == 1
            if shown:
                bits.take(sequence.presentation_bits)
            else:
                bits.take(1)  # showable_frame
            resilient = kind == _SWITCH or (kind == _KEY and shown) or bits.take(1) == 1
        intra = kind in (_KEY, _INTRA_ONLY)
        bits.take(1)  # disable_cdf_update
        screen_content = bits.take(1) if sequence.screen_content == 2 else sequence.screen_content
        if screen_content and sequence.integer_vectors == 2:
            bits.take(1)  # force_integer_mv
        bits.take(sequence.id_bits[1])
        own_size = kind == _SWITCH or (not sequence.reduced and bits.take(1) == 1)  # frame_size_override_flag
        bits.take(sequence.order_bits)
        if not intra and not resilient:
            bits.take(3)  # primary_ref_frame
        _skip_removal_times(bits, unit, sequence)
        refreshed = 0xFF if kind == _SWITCH or (kind == _KEY and shown) else bits.take(8)
        if resilient and sequence.order_bits and (not intra or refreshed != 0xFF):
            bits.take(_SLOTS * sequence.order_bits)  # ref_order_hint
        references = None if intra else _references(bits, sequence)
        size = self._size(
            bits, sequence, references if own_size and not resilient else None, own_size=own_size
        )
        if size is not None:
            self.largest = max(self.largest, size, key=math.prod)
        for slot in range(_SLOTS):
            if refreshed >> slot & 1:
                self._slots[slot] = size
        return shown, size

    def _size(
        self, bits: Bits, sequence: Av1Sequence, references: list[int | None] | None, *, own_size: bool
    ) -> _Size | None:
        """``frame_size``, or with ``references`` ``frame_size_with_refs`` (5.9.5, 5.9.7)."""
        for reference in references or ():
            if bits.take(1):  # found_ref
                return None if reference is None else self._slots[reference]
        if not own_size:
            return sequence.picture.width, sequence.picture.height
        width_bits, height_bits = sequence.size_bits
        return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _references(bits: Bits, sequence: Av1Sequence) -> list[int | None]:
    """The slots that a frame refers to; None for those that a decoder derives (7.8)."""
    known: list[int | None] = [None] * _REFERENCES
    short = sequence.order_bits > 0 and bits.take(1) == 1  # frame_refs_short_signaling
    if short:
        known[0], known[3] = bits.take(3), bits.take(3)  # last_frame_idx, gold_frame_idx
    for at in range(_REFERENCES):
        if not short:
            known[at] = bits.take(3)
        bits.take(sequence.id_bits[0])
    return known


def _skip_removal_times(bits: Bits, unit: Obu, sequence: Av1Sequence) -> None:
    """``buffer_removal_time`` of each operating point that the frame belongs to."""
    if not sequence.removal_bits or not bits.take(1):  # buffer_removal_time_present_flag
        return
    for point in sequence.operating_points:
        if point == 0 or (point >> unit.temporal_id & 1 and point >> (unit.spatial_id + 8) & 1):
            bits.take(sequence.removal_bits)
