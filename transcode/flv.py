"""FLV tags from bytes as they arrive: no I/O, one copy of each body.

Source: Adobe Flash Video File Format Specification 10.1, annex E (file header E.2, tags E.4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from transcode.units import BadMedia

TAG_AUDIO = 8
TAG_VIDEO = 9
TAG_SCRIPT = 18

_FILE_HEADER_BYTES = 9
_PREVIOUS_TAG_SIZE_BYTES = 4
_TAG_HEADER_BYTES = 11
_TAG_HEADER = struct.Struct(">II")


class FlvError(BadMedia):
    """The bytes are not FLV."""


@dataclass(slots=True)
class FlvTag:
    """One tag. `timestamp_ms` is the 32-bit value of the wire: it wraps and may restart. Not frozen, see `units`."""

    kind: int
    timestamp_ms: int
    body: bytes


class FlvReader:
    """Feed it bytes, take tags. One reader serves one connection."""

    def __init__(self, max_tag_bytes: int = 16 * 1024 * 1024) -> None:
        self._rest = bytearray()
        self._needed_bytes = 0
        self._header_seen = False
        self._max_tag_bytes = max_tag_bytes

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[FlvTag]:
        """The tags that `data` completes, in order. Raises `FlvError` when the bytes are not FLV.

        `data` may be reused once all tags are taken: what is not complete by then is copied.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed_bytes:
                return
            data, self._rest = self._rest, bytearray()
        view = memoryview(data)
        size_bytes, position = len(view), 0
        if not self._header_seen:
            position = self._header_end(view)
            self._header_seen = position > 0
        self._needed_bytes = 0
        while self._header_seen and size_bytes - position >= _TAG_HEADER_BYTES:
            kind_and_size, time_field = _TAG_HEADER.unpack_from(view, position)
            body_bytes = kind_and_size & 0xFFFFFF
            if body_bytes > self._max_tag_bytes:
                raise FlvError(f"tag of {body_bytes} bytes exceeds the maximum of {self._max_tag_bytes}")
            start = position + _TAG_HEADER_BYTES
            end = start + body_bytes + _PREVIOUS_TAG_SIZE_BYTES
            if size_bytes < end:
                self._needed_bytes = end - position
                break
            position = end
            yield FlvTag(
                kind_and_size >> 24 & 0x1F,
                time_field >> 8 | (time_field & 0xFF) << 24,
                view[start : start + body_bytes].tobytes(),
            )
        self._rest += view[position:]

    def _header_end(self, view: memoryview) -> int:
        """Where the first tag begins; 0 when the file header is not all here."""
        if len(view) < _FILE_HEADER_BYTES + _PREVIOUS_TAG_SIZE_BYTES:
            return 0
        signature = view[:3].tobytes()
        if signature != b"FLV":
            raise FlvError(f"not an FLV header: {signature!r}")
        return int.from_bytes(view[5:9], "big") + _PREVIOUS_TAG_SIZE_BYTES
