"""The headers of a recorded segment's fragments; media data are not looked at.

The files are those that `packager.cmaf` has written, so their boxes are where it puts them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from packager.recordings.fragments import BadFile

_READ_BYTES: Final = 2048
_ROWS_AT: Final = 88
_ROW_BYTES: Final = 16
_HEADERS = struct.Struct(">I4s20x4s20x4s4xQ4x4sIIi")
"""moof's size and kind, the kinds of traf and tfdt, decode time, kind of trun, its flags, rows, data offset."""
_TRUN_FLAGS: Final = 0x01000F01


@dataclass(frozen=True, slots=True)
class FragmentHeader:
    """A fragment within its file. `rows` are duration, size, flags and composition offset of each sample."""

    decode_time: int
    data_at: int
    count: int
    rows: bytes


def fragment_headers(read: Callable[[int, int], bytes], size_bytes: int, name: str) -> Iterator[FragmentHeader]:
    """The fragments of a segment of so many bytes; `read` gives some of them, from there. Raises `BadFile`."""
    at = 0
    while at < size_bytes:
        data = read(at, _READ_BYTES)
        if len(data) < _ROWS_AT + 8:
            raise BadFile(f"{name}: no fragment at {at}")
        moof_bytes, moof, traf, tfdt, decode_time, trun, flags, count, data_offset = _HEADERS.unpack_from(data)
        if (moof, traf, tfdt, trun, flags) != (b"moof", b"traf", b"tfdt", b"trun", _TRUN_FLAGS):
            raise BadFile(f"{name}: the boxes at {at} are not those of a fragment")
        end = _ROWS_AT + count * _ROW_BYTES
        if moof_bytes != end or data_offset != end + 8:
            raise BadFile(f"{name}: the fragment at {at} is not of one run")
        if end + 8 > len(data):
            data = read(at, end + 8)
        mdat_bytes = int.from_bytes(data[end : end + 4])
        yield FragmentHeader(decode_time, at + data_offset, count, data[_ROWS_AT:end])
        at += moof_bytes + mdat_bytes
    if at != size_bytes:
        raise BadFile(f"{name}: {size_bytes} bytes; its fragments end at {at}")
