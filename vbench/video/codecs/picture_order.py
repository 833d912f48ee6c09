"""Follows the order of H.264 and HEVC pictures: finds missing references, and works out the output order."""

from dataclasses import dataclass

_SEQUENCE = 1 << 36
"""More than the picture order counts within one coded video sequence differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOrderCount:
    """What a slice header states of its picture's position in decoding order and in output order."""

    frame_num: int = 0
    frame_num_bits: int = 0
    """H.264's ``frame_num`` and its length; 0 bits in HEVC, which has none."""
    lsb: int | None = None
    """``pic_order_cnt_lsb``, the lowest bits of the picture order count; None if the slice has none."""
    lsb_bits: int = 0
    """Number of these bits."""
    in_decoding_order: bool = False
    """Whether pictures are output in decoding order (H.264's ``pic_order_cnt_type`` 2)."""


class PictureOrder:
    """Follows the pictures of a stream in decoding order.

    Memory management control operation 5, which renumbers pictures in the middle of a sequence (ITU-T H.264
    7.4.3.3), is not recognised: after it, pictures may seem to be lost and out of order.
    """

    def __init__(self) -> None:
        self._sequence = 0
        self._before: tuple[int, int] | None = None
        """Most and least significant bits of the count that the next one is relative to."""
        self._pictures = 0
        self._reference_num: int | None = None

    def add(self, count: PictureOrderCount | None, *, begins: bool, is_anchor: bool) -> int | None:
        """Add a picture; returns a number that increases in output order, or None if the stream does not say.

        Follows ITU-T H.264 8.2.1.1 and H.265 8.3.1.

        Args:
            count: what its first slice states; None if that cannot be read.
            begins: whether it begins a coded video sequence, before which all earlier pictures are output.
            is_anchor: whether the count of the next picture is relative to this one's: H.264's reference
                pictures, and HEVC's of the lowest sub-layer that are neither leading nor non-reference.
        """
        self._pictures += 1
        if begins:
            self._sequence, self._before = self._sequence + 1, None
        if count is None:
            self._before = None
            return None
        if count.in_decoding_order:
            return self._sequence * _SEQUENCE + self._pictures
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

    def lacks_reference(self, count: PictureOrderCount | None, *, begins: bool, is_reference: bool) -> bool:
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
