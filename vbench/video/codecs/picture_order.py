"""Follows the order of H.264 and HEVC pictures: of decoding, where some are missing, and of output."""

from dataclasses import dataclass

_SEQUENCE = 1 << 36
"""More than the order counts of one coded video sequence differ by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCount:
    """What a slice header says of its picture's place in decoding order and in output order."""

    frame_num: int = 0
    frame_num_bits: int = 0
    """H.264's ``frame_num`` and its length; 0 bits in HEVC, which has none."""
    lsb: int | None = None
    """Lowest bits of the picture order count; None if the slice has none."""
    lsb_bits: int = 0
    in_decoding_order: bool = False
    """Whether pictures are handed out in decoding order (H.264's ``pic_order_cnt_type`` 2)."""


class PictureOrder:
    """Notes the pictures of a stream in decoding order.

    A memory management operation that renumbers pictures in the middle of a sequence (5, ITU-T H.264 7.4.3.3)
    goes unnoticed: after it, pictures may seem to be lost, and out of order.
    """

    def __init__(self) -> None:
        self._sequence = 0
        self._before: tuple[int, int] | None = None
        """Highest and lowest bits of the order count that the next one is relative to."""
        self._place = 0
        self._reference_num: int | None = None

    def add(self, count: OrderCount | None, *, begins: bool, is_anchor: bool) -> int | None:
        """Note a picture: a number that rises in output order; None if the stream does not say.

        Args:
            count: what its first slice says; None if that cannot be read.
            begins: whether it begins a coded video sequence, ahead of which all before are handed out.
            is_anchor: whether the count of the next picture is relative to this one's: H.264's reference
                pictures, and HEVC's of the lowest sub-layer that are neither leading nor non-reference.
        """
        self._place += 1
        if begins:
            self._sequence, self._before = self._sequence + 1, None
        if count is None:
            self._before = None
            return None
        if count.in_decoding_order:
            return self._sequence * _SEQUENCE + self._place
        if count.lsb is None:
            return None
        size = 1 << count.lsb_bits
        high, low = self._before or (0, count.lsb)
        if count.lsb < low and low - count.lsb >= size // 2:
            high += size
        elif count.lsb > low and count.lsb - low > size // 2:
            high -= size
        if is_anchor or self._before is None:
            self._before = high, count.lsb
        return self._sequence * _SEQUENCE + high + count.lsb

    def lacks_reference(self, count: OrderCount | None, *, begins: bool, is_reference: bool) -> bool:
        """Whether reference pictures are missing before an H.264 frame (``frame_num``, ITU-T H.264 7.4.3)."""
        before = self._reference_num
        if count is None:
            self._reference_num = None
            return False
        if is_reference or before is None:
            self._reference_num = count.frame_num
        return (
            not begins
            and before is not None
            and count.frame_num != (before + 1) % (1 << count.frame_num_bits)
        )
