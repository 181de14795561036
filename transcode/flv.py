"""FLV tags from bytes as they arrive: no I/O, no copy of what is not yet complete.

Source: Adobe Flash Video File Format Specification 10.1, annex E (file header E.2, tags E.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from transcode.units import BadMedia

TAG_AUDIO = 8
TAG_VIDEO = 9
TAG_SCRIPT = 18

_FILE_HEADER_BYTES = 9
_PREVIOUS_TAG_SIZE_BYTES = 4
_TAG_HEADER_BYTES = 11


class FlvError(BadMedia):
    """The bytes are not FLV."""


@dataclass(frozen=True, slots=True)
class FlvTag:
    """One tag. `timestamp_ms` is the 32-bit value of the wire: it wraps and may restart."""

    kind: int
    timestamp_ms: int
    body: bytes


class FlvReader:
    """Feed it bytes, take tags. One reader serves one connection."""

    def __init__(self, max_tag_bytes: int = 16 * 1024 * 1024) -> None:
        self._buffer = bytearray()
        self._header_seen = False
        self._max_tag_bytes = max_tag_bytes

    def feed(self, data: bytes | memoryview) -> Iterator[FlvTag]:
        """The tags that `data` completes, in order. Raises `FlvError` when the bytes are not FLV."""
        buffer = self._buffer
        buffer += data
        position = 0
        if not self._header_seen:
            if len(buffer) < _FILE_HEADER_BYTES + _PREVIOUS_TAG_SIZE_BYTES:
                return
            if buffer[:3] != b"FLV":
                raise FlvError(f"not an FLV header: {bytes(buffer[:3])!r}")
            self._header_seen = True
            position = int.from_bytes(buffer[5:9], "big") + _PREVIOUS_TAG_SIZE_BYTES
        while len(buffer) - position >= _TAG_HEADER_BYTES:
            size_bytes = int.from_bytes(buffer[position + 1 : position + 4], "big")
            if size_bytes > self._max_tag_bytes:
                raise FlvError(f"tag of {size_bytes} bytes exceeds the maximum of {self._max_tag_bytes}")
            end = position + _TAG_HEADER_BYTES + size_bytes
            if len(buffer) < end + _PREVIOUS_TAG_SIZE_BYTES:
                break
            timestamp_ms = int.from_bytes(buffer[position + 4 : position + 7], "big") | buffer[position + 7] << 24
            yield FlvTag(buffer[position] & 0x1F, timestamp_ms, bytes(buffer[position + _TAG_HEADER_BYTES : end]))
            position = end + _PREVIOUS_TAG_SIZE_BYTES
        del buffer[:position]
