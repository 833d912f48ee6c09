"""Tells the fields of H.264 frames: which slices begin a frame, and which complete the one before."""

from collections.abc import Iterable
from dataclasses import dataclass

from vbench.video.bits import Bits, unescaped
from vbench.video.decoder_state import H264_PPS, H264_SPS
from vbench.video.parameter_sets import WITH_CHROMA_FORMAT, has_frames_only, skip_chroma_format

_HEAD_BYTES = 24
"""Of a slice: more than it takes to reach ``bottom_field_flag``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field picture."""

    bottom: bool
    frame_num: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sequence:
    """What a sequence parameter set says of its slices' headers."""

    frames_only: bool
    separate_planes: bool
    frame_num_bits: int


class FieldReader:
    """Reads slice headers up to the field flags, with the parameter sets in force."""

    def __init__(self) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._sequence_of: dict[int, int] = {}
        """The sequence parameter set of each picture parameter set, by their ids."""

    def see(self, units: Iterable[bytes]) -> None:
        """Note the parameter sets among these NAL units; damaged ones are left out."""
        for unit in units:
            try:
                if unit[0] & 31 == H264_SPS:
                    number, sequence = _sequence(unit[1:])
                    self._sequences[number] = sequence
                elif unit[0] & 31 == H264_PPS:
                    bits = Bits(unescaped(unit[1:_HEAD_BYTES]))
                    number = bits.unsigned()
                    self._sequence_of[number] = bits.unsigned()
            except EOFError:
                continue

    def field(self, head: bytes) -> Field | None:
        """The field that a slice belongs to (ITU-T H.264 7.3.3); None for a frame, and for a damaged slice.

        Args:
            head: the first 24 bytes of the slice's NAL unit.
        """
        if all(sequence.frames_only for sequence in self._sequences.values()):
            return None
        bits = Bits(unescaped(head[1:]))
        try:
            bits.unsigned()  # first_mb_in_slice
            bits.unsigned()  # slice_type
            sequence = self._sequences.get(self._sequence_of.get(bits.unsigned(), -1))
            if sequence is None or sequence.frames_only:
                return None
            if sequence.separate_planes:
                bits.take(2)
            frame_num = bits.take(sequence.frame_num_bits)
            return Field(frame_num=frame_num, bottom=bits.take(1) == 1) if bits.take(1) else None
        except EOFError:
            return None


def _sequence(sps: bytes) -> tuple[int, _Sequence]:
    """Id and facts of a sequence parameter set without its NAL header (7.3.2.1.1)."""
    bits = Bits(unescaped(sps))
    profile = bits.take(8)
    bits.take(16)  # constraint flags, level_idc
    number = bits.unsigned()
    separate = profile in WITH_CHROMA_FORMAT and skip_chroma_format(bits)
    return number, _Sequence(
        frames_only=has_frames_only(sps), separate_planes=separate, frame_num_bits=bits.unsigned() + 4
    )
