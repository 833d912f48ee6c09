"""Reads bits and Exp-Golomb codes from coded headers; adds and removes emulation prevention bytes."""


class Bits:
    """Reads bits from the front of ``data``; EOFError if too few are left."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self.left = 8 * len(data)
        """Number of unread bits."""

    def take(self, count: int) -> int:
        """The next ``count`` bits as a number, most significant bit first: u(n), ITU-T H.264 7.2."""
        if count > self.left:
            raise EOFError
        self.left -= count
        return self._value >> self.left & (1 << count) - 1

    def unsigned(self) -> int:
        """The next Exp-Golomb code as an unsigned number: ue(v), ITU-T H.264 9.1."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """The next Exp-Golomb code as a signed number: se(v), ITU-T H.264 9.1.1."""
        number = self.unsigned()
        return (number + 1) // 2 if number % 2 else -(number // 2)


def unescaped(unit: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes (ITU-T H.264 7.4.1)."""
    return unit.replace(b"\0\0\3", b"\0\0")


def escaped(payload: bytes) -> bytes:
    """``payload`` with emulation prevention bytes (ITU-T H.264 7.4.1): what ``unescaped`` reads."""
    out = bytearray()
    zeros = 0
    for byte in payload:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = 0 if byte else zeros + 1
    return bytes(out)
