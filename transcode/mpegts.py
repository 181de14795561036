"""MPEG transport stream packets from bytes as they arrive: found, checked for gaps, stripped of their headers.

Source: ISO/IEC 13818-1, 2.4.3.2 (packet), 2.4.3.4 (adaptation field). No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from transcode.units import BadMedia

PACKET_BYTES = 188
PAT_PID = 0
_SYNC = 0x47
_MAX_WITHOUT_SYNC_BYTES = 64 * 1024


class MpegTsError(BadMedia):
    """The bytes are no MPEG transport stream."""


class TsPacket(NamedTuple):
    """The payload of one packet. `gap` says that packets of its PID before it are missing."""

    pid: int
    starts_unit: bool
    gap: bool
    payload: bytes


class TsReader:
    """Feed it bytes, take the packets of the PIDs in `wanted`. One reader serves one connection."""

    def __init__(self) -> None:
        self.wanted: set[int] = {PAT_PID}
        self.gaps = 0
        self._buffer = bytearray()
        self._counters: dict[int, int] = {}
        self._locked = False
        self._skipped_bytes = 0

    def feed(self, data: bytes | memoryview) -> Iterator[TsPacket]:
        """The wanted packets that `data` completes. Raises `MpegTsError` when no packet is found in a long run."""
        self._buffer += data
        # A copy, so that payloads are cut from it in one step; what is left over starts the next buffer.
        whole = bytes(self._buffer)
        position = 0
        last = len(whole) - PACKET_BYTES
        wanted, counters = self.wanted, self._counters
        while position <= last:
            if whole[position] != _SYNC:
                self._locked = False
            if not self._locked:
                position = self._lock(whole, position)
                if not self._locked:
                    break
            second = whole[position + 1]
            pid = (second & 0x1F) << 8 | whole[position + 2]
            if pid in wanted:
                fourth = whole[position + 3]
                if second < 0x40 and fourth == 0x10 | counters.get(pid, 16) + 1 & 0x0F:
                    # By far the most packets: the next of a unit, and nothing but payload.
                    counters[pid] = fourth & 0x0F
                    yield TsPacket(pid, False, False, whole[position + 4 : position + PACKET_BYTES])
                    position += PACKET_BYTES
                    continue
                packet = self._packet(whole, position, pid, second)
                if packet is not None:
                    yield packet
                    wanted = self.wanted  # a table may have changed it
            position += PACKET_BYTES
        del self._buffer[:position]

    def _packet(self, whole: bytes, position: int, pid: int, second: int) -> TsPacket | None:
        fourth = whole[position + 3]
        # Damaged on its way (transport_error_indicator), scrambled, or without payload.
        if second & 0x80 or fourth & 0xC0 or not fourth & 0x10:
            return None
        start, announced = position + 4, False
        if fourth & 0x20:
            field_bytes = whole[start]
            announced = field_bytes > 0 and whole[start + 1] & 0x80 != 0
            start += 1 + field_bytes
            if start > position + PACKET_BYTES:
                return None
        counter, before = fourth & 0x0F, self._counters.get(pid)
        self._counters[pid] = counter
        gap = False
        if before is not None and counter != before + 1 & 0x0F:
            if counter == before and not announced:  # a packet may be sent twice
                return None
            gap = not announced
            self.gaps += gap
        return TsPacket(pid, second & 0x40 != 0, gap, whole[start : position + PACKET_BYTES])

    def _lock(self, whole: bytes, position: int) -> int:
        """Where packets go on: at a sync byte that another one follows a packet later. Until then nothing is locked."""
        found = whole.find(_SYNC, position)
        while 0 <= found < len(whole) - PACKET_BYTES and whole[found + PACKET_BYTES] != _SYNC:
            found = whole.find(_SYNC, found + 1)
        if 0 <= found < len(whole) - PACKET_BYTES:
            self._locked = True
            self._skipped_bytes = 0
            return found
        if found < 0:
            found = len(whole)
        self._skipped_bytes += found - position
        if self._skipped_bytes > _MAX_WITHOUT_SYNC_BYTES:
            raise MpegTsError(f"no MPEG-TS packet within {self._skipped_bytes} bytes")
        return found
