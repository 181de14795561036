"""PES packets, and the 90 kHz clock that they carry.

Source: ISO/IEC 13818-1, 2.4.3.6 and 2.4.3.7. No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transcode.mpegts import TsPacket

CLOCK_TICKS_PER_MS = 90
_WRAP = 1 << 33
_MAX_BYTES = 4 * 1024 * 1024
_MAX_PACKETS = 65536  # a packet may carry next to nothing
_HEADER_BYTES = 9


@dataclass(frozen=True, slots=True)
class Pes:
    """One whole PES packet. Times are the 33 bits of the wire; `dts` equals `pts` where none is sent."""

    pts: int | None
    dts: int | None
    data: bytes


class PesReader:
    """Puts the PES packets of one PID together. One that a gap spoils, or that grows too long, is left out.

    A video packet may have no length: it ends where the next one starts.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] | None = None
        self._have_bytes = 0
        self._size_bytes = 0  # 0 = until the next one starts
        self.damaged = 0

    def push(self, packet: TsPacket) -> Sequence[Pes]:
        """The PES packets that this one completes."""
        if packet.gap and self._parts is not None:
            self._drop()
        payload = packet.payload
        done: Sequence[Pes] = ()
        if packet.starts_unit:
            if self._parts is not None:
                done = self._finish(whole=self._size_bytes == 0)
            self._start(payload)
        elif self._parts is not None:
            self._parts.append(payload)
            self._have_bytes += len(payload)
        if self._parts is None:
            return done
        if self._have_bytes > _MAX_BYTES or len(self._parts) > _MAX_PACKETS:
            self._drop()
        elif self._size_bytes and self._have_bytes >= self._size_bytes:
            return [*done, *self._finish(whole=True)]
        return done

    def _start(self, payload: bytes) -> None:
        # A stuffing start, or something that is no PES packet with the optional header, as private streams have.
        if len(payload) < _HEADER_BYTES or payload[:3] != b"\x00\x00\x01" or payload[6] & 0xC0 != 0x80:
            return
        length_bytes = int.from_bytes(payload[4:6], "big")
        self._parts, self._have_bytes = [payload], len(payload)
        self._size_bytes = 6 + length_bytes if length_bytes else 0

    def _finish(self, *, whole: bool) -> Sequence[Pes]:
        assert self._parts is not None
        data = b"".join(self._parts)
        self._parts = None
        start = _HEADER_BYTES + data[8]
        if not whole or start > len(data):
            self.damaged += 1
            return ()
        pts = _timestamp(data[9:14]) if data[7] & 0x80 and data[8] >= 5 else None
        dts = _timestamp(data[14:19]) if data[7] & 0x40 and data[8] >= 10 else pts
        return (Pes(pts, dts, data[start : self._size_bytes or None]),)

    def _drop(self) -> None:
        self._parts = None
        self.damaged += 1


class SourceClock:
    """The 33-bit clock of one program, unwrapped: milliseconds that go on rising where the wire starts over."""

    def __init__(self) -> None:
        self._last_ticks: int | None = None

    def ms(self, ticks: int) -> float:
        """Milliseconds of a DTS, PTS of audio, …: of whatever rises."""
        if self._last_ticks is None:
            self._last_ticks = ticks
        else:
            self._last_ticks += signed_difference(ticks, self._last_ticks)
        return self._last_ticks / CLOCK_TICKS_PER_MS


def signed_difference(later: int, earlier: int) -> int:
    """`later - earlier` on the 33-bit circle, in [-2^32, 2^32)."""
    return (later - earlier + _WRAP // 2) % _WRAP - _WRAP // 2


def _timestamp(field: bytes) -> int:
    """A time of five bytes with its marker bits (2.4.3.7)."""
    value = int.from_bytes(field, "big")
    return value >> 3 & 0x1C0000000 | value >> 2 & 0x3FFF8000 | value >> 1 & 0x7FFF
