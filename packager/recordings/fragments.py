"""The boxes of recorded files (ISO/IEC 14496-12), as far as recordings need them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_HEADER = struct.Struct(">I4s")


class BadFile(ValueError):
    """A recorded file that is not what was published."""


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each box, and where its body starts and ends. Raises `BadFile` where one does not fit."""
    end = len(data) if end is None else end
    while start < end:
        if start + 8 > end:
            raise BadFile(f"{end - start} bytes follow the last box")
        size, kind = _HEADER.unpack_from(data, start)
        if size < 8 or start + size > end:
            raise BadFile(f"box {kind!r} of {size} bytes does not fit into {end - start}")
        yield kind, start + 8, start + size
        start += size


def find(data: bytes, *path: bytes) -> tuple[int, int]:
    """Where the body of the box at this path starts and ends. Raises `BadFile` when there is none."""
    start, end = 0, len(data)
    for name in path:
        for kind, body_start, body_end in boxes(data, start, end):
            if kind == name:
                start, end = body_start, body_end
                break
        else:
            raise BadFile(f"no box {name!r}")
    return start, end


def timescale_hz(init: bytes) -> int:
    """Ticks a second of an init segment's track. Raises `BadFile`."""
    start, end = find(init, b"moov", b"trak", b"mdia", b"mdhd")
    version = init[start]
    at = start + (20 if version else 12)
    if at + 4 > end:
        raise BadFile("mdhd is too short")
    return int.from_bytes(init[at : at + 4])


def decode_time(segment: bytes) -> int:
    """The decode time of a segment's first sample, in ticks. Raises `BadFile`."""
    start, end = find(segment, b"moof", b"traf", b"tfdt")
    size = 8 if segment[start] else 4
    if start + 4 + size > end:
        raise BadFile("tfdt is too short")
    return int.from_bytes(segment[start + 4 : start + 4 + size])
