"""Writes MPEG transport streams for tests, right ones and wrong ones."""

from __future__ import annotations

from transcode.mpegts_tables import crc32_mpeg

VIDEO_PID, AUDIO_PID, PMT_PID = 0x100, 0x101, 0x1000


def packet(pid: int, counter: int, payload: bytes, *, starts: bool = False, announced: bool = False) -> bytes:
    """One packet, filled up with adaptation field stuffing."""
    assert len(payload) <= 184
    head = bytes([0x47, (0x40 if starts else 0) | pid >> 8, pid & 0xFF])
    room = 184 - len(payload)
    flags = 0x80 if announced else 0
    if not room and not announced:
        return head + bytes([0x10 | counter & 0x0F]) + payload
    field = bytes([room - 1]) + (bytes([flags]) + b"\xff" * (room - 2) if room > 1 else b"")
    return head + bytes([0x30 | counter & 0x0F]) + field + payload


class Muxer:
    """Counts packets by PID."""

    def __init__(self) -> None:
        self.counters: dict[int, int] = {}

    def unit(self, pid: int, data: bytes, *, announced: bool = False) -> bytes:
        """As many packets as the data takes."""
        packets = b""
        for start in range(0, len(data), 180):
            counter = self.counters.get(pid, 0)
            self.counters[pid] = counter + 1
            piece = data[start : start + 180]
            packets += packet(pid, counter, piece, starts=start == 0, announced=announced and start == 0)
        return packets

    def pat(self, programs: dict[int, int], version: int = 0) -> bytes:
        body = b"".join(
            number.to_bytes(2, "big") + (0xE000 | pid).to_bytes(2, "big") for number, pid in programs.items()
        )
        return self.unit(0, b"\x00" + section(0, 1, version, body))

    def pmt(
        self, streams: list[tuple[int, int, bytes]], *, pid: int = PMT_PID, program: int = 1, version: int = 0
    ) -> bytes:
        """Streams are (stream type, PID, descriptors)."""
        body = (0xE000 | VIDEO_PID).to_bytes(2, "big") + b"\xf0\x00"
        for kind, stream_pid, descriptors in streams:
            body += bytes([kind]) + (0xE000 | stream_pid).to_bytes(2, "big")
            body += (0xF000 | len(descriptors)).to_bytes(2, "big") + descriptors
        return self.unit(pid, b"\x00" + section(2, program, version, body))

    def pes(self, pid: int, data: bytes, pts: int | None, dts: int | None = None, *, bounded: bool = False) -> bytes:
        return self.unit(pid, pes_packet(data, pts, dts, bounded=bounded))


def section(table: int, identifier: int, version: int, body: bytes) -> bytes:
    """A PSI section with its CRC."""
    head = identifier.to_bytes(2, "big") + bytes([0xC1 | version << 1, 0, 0])
    data = bytes([table]) + (0xB000 | len(head) + len(body) + 4).to_bytes(2, "big") + head + body
    return data + crc32_mpeg(data).to_bytes(4, "big")


def pes_packet(data: bytes, pts: int | None, dts: int | None, *, bounded: bool) -> bytes:
    times, flags = b"", 0
    if pts is not None:
        flags, times = 0x80, timestamp(3 if dts is not None else 2, pts)
        if dts is not None:
            flags, times = 0xC0, times + timestamp(1, dts)
    header = bytes([0x80, flags, len(times)]) + times
    length = len(header) + len(data) if bounded else 0
    return b"\x00\x00\x01\xe0" + length.to_bytes(2, "big") + header + data


def timestamp(prefix: int, value: int) -> bytes:
    value %= 1 << 33
    return bytes(
        [
            prefix << 4 | value >> 29 & 0x0E | 1,
            value >> 22 & 0xFF,
            value >> 14 & 0xFE | 1,
            value >> 7 & 0xFF,
            value << 1 & 0xFE | 1,
        ]
    )
