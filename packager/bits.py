"""Bits of a header, most significant first."""

from __future__ import annotations


class OutOfBits(ValueError):
    """The header ends before what it announces."""


class BitReader:
    """Reads bits and Exp-Golomb codes (ITU-T H.264, 9.1). Raises `OutOfBits` at the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def bits(self, count: int) -> int:
        """The next `count` bits as an unsigned number."""
        if count > self._left:
            raise OutOfBits(f"{count} bits wanted, {self._left} left")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit."""
        return self.bits(1) == 1

    def ue(self) -> int:
        """An unsigned Exp-Golomb code."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 32:
                raise OutOfBits("an Exp-Golomb code of more than 32 leading zeros")
        return (1 << zeros) - 1 + self.bits(zeros)

    def se(self) -> int:
        """A signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)
