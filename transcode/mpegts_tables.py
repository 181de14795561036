"""The tables of an MPEG transport stream: which programs there are, and which streams make up each of them.

Source: ISO/IEC 13818-1, 2.4.4 (sections, PAT, PMT) and annex A (CRC). No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from transcode.mpegts import TsPacket

_PAT, _PMT = 0, 2
_MAX_SECTION_BYTES = 1024
_HEADER_BYTES, _CRC_BYTES = 3, 4


@dataclass(frozen=True, slots=True)
class ElementaryStream:
    """One stream of a program: its PID, its stream_type (table 2-34) and its descriptors by tag, the first of each."""

    pid: int
    stream_type: int
    descriptors: dict[int, bytes]

    @property
    def registration(self) -> bytes:
        """The format_identifier of its registration descriptor (2.6.8), or nothing."""
        return self.descriptors.get(0x05, b"")[:4]


class SectionReader:
    """Puts the sections of one PID together. One that a gap or its CRC spoils is left out: it will be repeated."""

    def __init__(self) -> None:
        self._buffer: bytearray | None = None

    def push(self, packet: TsPacket) -> Iterator[bytes]:
        """The whole sections that end in this packet, without their CRC."""
        payload = packet.payload
        if packet.gap:
            self._buffer = None
        if packet.starts_unit:
            if not payload:
                return
            first = 1 + payload[0]
            if self._buffer is not None:
                self._buffer += payload[1:first]
                yield from self._sections()
            self._buffer = bytearray(payload[first:])
        elif self._buffer is not None:
            self._buffer += payload
        yield from self._sections()

    def _sections(self) -> Iterator[bytes]:
        buffer = self._buffer
        while buffer and len(buffer) >= _HEADER_BYTES:
            if buffer[0] == 0xFF:  # stuffing up to the end of the packet
                self._buffer = None
                return
            size_bytes = _HEADER_BYTES + (int.from_bytes(buffer[1:3], "big") & 0x0FFF)
            if size_bytes > _MAX_SECTION_BYTES or size_bytes < _HEADER_BYTES + 5 + _CRC_BYTES:
                self._buffer = None
                return
            if len(buffer) < size_bytes:
                return
            section = bytes(buffer[:size_bytes])
            del buffer[:size_bytes]
            if crc32_mpeg(section) == 0:
                yield section[:-_CRC_BYTES]


def programs(section: bytes) -> dict[int, int] | None:
    """PMT PID of each program number that a PAT section lists; None for another, or one not yet in force."""
    if section[0] != _PAT or not section[5] & 1:
        return None
    found = {}
    for at in range(8, len(section) - 3, 4):
        number, pid = int.from_bytes(section[at : at + 2], "big"), int.from_bytes(section[at + 2 : at + 4], "big")
        if number:  # program 0 is the network table
            found[number] = pid & 0x1FFF
    return found


def streams(section: bytes) -> tuple[int, list[ElementaryStream]] | None:
    """Program number and streams of a PMT section; None for another, or one not yet in force."""
    if section[0] != _PMT or not section[5] & 1 or len(section) < 12:
        return None
    found = []
    at = 12 + (int.from_bytes(section[10:12], "big") & 0x0FFF)
    while at + 5 <= len(section):
        pid = int.from_bytes(section[at + 1 : at + 3], "big") & 0x1FFF
        end = at + 5 + (int.from_bytes(section[at + 3 : at + 5], "big") & 0x0FFF)
        found.append(ElementaryStream(pid, section[at], _descriptors(section[at + 5 : end])))
        at = end
    return int.from_bytes(section[3:5], "big"), found


def _descriptors(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 2 <= len(data):
        end = at + 2 + data[at + 1]
        found.setdefault(data[at], data[at + 2 : end])
        at = end
    return found


def _crc_table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        value = index << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc32_mpeg(data: bytes) -> int:
    """The CRC of annex A; 0 over a section that includes its own."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC_TABLE[value >> 24 ^ byte]
    return value
