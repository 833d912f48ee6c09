"""Headers of EBML elements, of which Matroska and WebM files consist (RFC 8794)."""

HEADER_BYTES = 12
"""The longest header: an id has at most 4 bytes, a length at most 8."""


def element_at(data: bytes, at: int) -> tuple[bytes, int, int | None] | None:
    """Id, and start and length of the content, of the element at offset ``at`` (RFC 8794, 4 and 5).

    The length is None if it is unknown, the whole None if no element begins there.
    """
    if at + 2 > len(data) or data[at] < 0x10:
        return None
    body = at + 9 - data[at].bit_length()
    if body >= len(data) or not data[body]:
        return None
    start = body + 9 - data[body].bit_length()
    bits = 7 * (start - body)
    length = int.from_bytes(data[body:start], "big") & ((1 << bits) - 1)
    return data[at:body], start, None if length == (1 << bits) - 1 else length
