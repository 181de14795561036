"""The chunk layer of RTMP 1.0 (section 5.3): messages to bytes."""

from __future__ import annotations

import struct

from ingest.rtmp.chunks import FIRST_CHUNK_BYTES, Message

_EXTENDED = 0xFFFFFF
_U32 = struct.Struct(">I")


class ChunkWriter:
    """Turns messages into chunks: format 0, then format 3 for the rest."""

    def __init__(self) -> None:
        self.chunk_bytes = FIRST_CHUNK_BYTES

    def chunks(self, chunk_stream_id: int, message: Message) -> list[bytes]:
        """The chunks of one message, to be sent in this order (others may come between)."""
        time_field = min(message.timestamp_ms, _EXTENDED)
        extended = _U32.pack(message.timestamp_ms) if time_field == _EXTENDED else b""
        body = bytes(message.body)
        header = (
            _basic_header(0, chunk_stream_id)
            + time_field.to_bytes(3, "big")
            + len(body).to_bytes(3, "big")
            + bytes([message.type_id])
            + message.stream_id.to_bytes(4, "little")
            + extended
        )
        again = _basic_header(3, chunk_stream_id) + extended
        chunks = [header + body[: self.chunk_bytes]]
        for start in range(self.chunk_bytes, len(body), self.chunk_bytes):
            chunks.append(again + body[start : start + self.chunk_bytes])
        return chunks

    def write(self, chunk_stream_id: int, message: Message) -> bytes:
        """One message as bytes."""
        return b"".join(self.chunks(chunk_stream_id, message))


def _basic_header(chunk_format: int, chunk_stream_id: int) -> bytes:
    """RTMP 1.0, section 5.3.1.1: ids 2..63 in one byte, up to 319 in two, up to 65599 in three."""
    top = chunk_format << 6
    if chunk_stream_id < 64:
        return bytes([top | chunk_stream_id])
    if chunk_stream_id < 320:
        return bytes([top, chunk_stream_id - 64])
    return bytes([top | 1]) + (chunk_stream_id - 64).to_bytes(2, "little")
