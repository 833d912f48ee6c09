"""Takes numbers bit by bit from coded headers, and takes emulation prevention bytes out or puts them in."""


class Bits:
    """Takes bits from the front; EOFError where there are too few left."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self.left = 8 * len(data)
        """How many bits were not taken yet."""

    def take(self, count: int) -> int:
        """The next ``count`` bits as a number, the first the highest."""
        if count > self.left:
            raise EOFError
        self.left -= count
        return self._value >> self.left & (1 << count) - 1

    def unsigned(self) -> int:
        """ue(v), ITU-T H.264 9.1."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """se(v), ITU-T H.264 9.1.1."""
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
