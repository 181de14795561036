"""The chunk layer of RTMP 1.0 (section 5.3): bytes to messages. `chunk_writer` is the way back.

The reader obeys Set Chunk Size and Abort by itself, because both change how the following bytes are read.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import NamedTuple

from config.limits import IngestLimits
from ingest.rtmp.errors import ProtocolError

SET_CHUNK_SIZE = 1
ABORT = 2
FIRST_CHUNK_BYTES = 128
MAX_CHUNK_BYTES = 0xFFFFFF
_EXTENDED = 0xFFFFFF
_FORMAT_1, _FORMAT_2 = 1 << 30, 2 << 30
_HEADER_BYTES = (11, 7, 3, 0)
_ASSUMED_DELTA_MS = 1000
_NOTHING = memoryview(b"")
_U32 = struct.Struct(">I")
_TIME_LENGTH_TYPE = struct.Struct(">II")
_U32_LITTLE = struct.Struct("<I")


class Message(NamedTuple):
    """One RTMP message. A `memoryview` body is valid only until the next bytes are fed."""

    type_id: int
    timestamp_ms: int
    stream_id: int
    body: bytes | bytearray | memoryview


# The class itself takes three times as long, which counts for thousands of messages a second.
_message = partial(tuple.__new__, Message)


class _ChunkStream:
    """What the last header on one chunk stream said, and the message that is being collected (else `None`)."""

    __slots__ = ("body", "delta_ms", "extended", "length", "stream_id", "timestamp_ms", "type_id")

    def __init__(self) -> None:
        self.timestamp_ms = 0
        self.delta_ms = 0
        self.length = 0
        self.type_id = 0
        self.stream_id = 0
        self.extended = b""
        self.body: bytearray | None = None


class ChunkReader:
    """Turns bytes into messages: `feed`, then `next_message` until it returns None.

    Bounds: `max_message_bytes` (raised once the peer is known), chunk streams, and bytes of unfinished messages.
    """

    def __init__(self, limits: IngestLimits) -> None:
        self.max_message_bytes = limits.message_before_key_bytes
        self._limits = limits
        self._chunk_bytes = FIRST_CHUNK_BYTES
        self._streams: dict[int, _ChunkStream] = {}
        self._in_flight_bytes = 0
        self._data = _NOTHING
        self._pos = 0
        self._stream: _ChunkStream | None = None
        self._chunk_left = 0

    @property
    def unread_bytes(self) -> int:
        """Bytes that were fed and wait to be read."""
        return len(self._data) - self._pos

    def feed(self, data: memoryview) -> None:
        """Give the next bytes. The buffer may be reused after `next_message` returned None, or after `detach`."""
        if self._pos < len(self._data):
            data = memoryview(bytes(self._data[self._pos :]) + data)
        self._data = data
        self._pos = 0

    def detach(self) -> None:
        """Copy the bytes that are not read yet, so that the buffer may be reused."""
        self._data = memoryview(bytes(self._data[self._pos :])) if self._pos < len(self._data) else _NOTHING
        self._pos = 0

    def next_message(self) -> Message | None:
        """The next whole message, None when more bytes are needed. Raises `ProtocolError`.

        A message that lies in one chunk, all of it here, is a view of the fed bytes: no copy.
        """
        # Nearly all are of format 0 or 1 on a known chunk stream, with all chunks here; `_next` takes any other.
        data, pos = self._data, self._pos
        left = len(data) - pos - 12
        if left < 0 or self._stream is not None:
            return self._next() if left > -12 else None
        time_field, length_and_type = _TIME_LENGTH_TYPE.unpack_from(data, pos)
        # Forms of two and three bytes have 0 and 1 here, which are no ids.
        stream = self._streams.get(time_field >> 24 & 0x3F)
        length, type_id, timestamp_ms = length_and_type >> 8, length_and_type & 0xFF, time_field & 0xFFFFFF
        chunk_bytes = self._chunk_bytes
        whole_bytes = length if length <= chunk_bytes else length + (length - 1) // chunk_bytes
        if (
            whole_bytes > left
            or time_field >= _FORMAT_2
            or stream is None
            or stream.body is not None
            or timestamp_ms == _EXTENDED
            or type_id <= ABORT
            or length > self.max_message_bytes
        ):
            return self._next()
        start = pos + (8 if time_field >= _FORMAT_1 else 12)
        chunks = data[start : start + whole_bytes]
        body = chunks if length <= chunk_bytes else self._join(chunks, 0xC0 | time_field >> 24 & 0x3F)
        if body is None:
            return self._next()
        stream.length, stream.type_id, stream.extended = length, type_id, b""
        if time_field >= _FORMAT_1:
            stream.delta_ms = timestamp_ms
            timestamp_ms = (stream.timestamp_ms + timestamp_ms) & 0xFFFFFFFF
        else:
            stream.delta_ms = timestamp_ms if timestamp_ms <= _ASSUMED_DELTA_MS else 0
            stream.stream_id = _U32_LITTLE.unpack_from(data, pos + 8)[0]
        stream.timestamp_ms = timestamp_ms
        self._pos = start + whole_bytes
        return _message((type_id, timestamp_ms, stream.stream_id, body))

    def _join(self, chunks: memoryview, header: int) -> bytearray | None:
        """The payload of chunks that follow each other, each but the first behind this header; None if they don't."""
        chunk_bytes = self._chunk_bytes
        headers = chunks[chunk_bytes :: chunk_bytes + 1].tobytes()
        if headers.count(header) != len(headers):
            return None
        payload = bytearray(chunks)
        del payload[chunk_bytes :: chunk_bytes + 1]
        return payload

    def _take_run(self, stream: _ChunkStream, header: int, pos: int) -> int:
        """Take the next chunks of a message as far as they are here, follow each other and are not its last.

        Returns how many bytes that are, headers included; 0 when it is not worth it.
        """
        data, body, chunk_bytes = self._data, stream.body, self._chunk_bytes
        assert body is not None
        step = chunk_bytes + 1
        count = min((stream.length - len(body) - 1) // chunk_bytes, (len(data) - pos) // step)
        if count < 2:
            return 0
        headers = data[pos : pos + count * step : step].tobytes()
        count -= len(headers.lstrip(bytes((header,))))
        if count:
            payload = bytearray(data[pos + 1 : pos + count * step])
            del payload[chunk_bytes::step]
            body += payload
        return count * step

    def _next(self) -> Message | None:
        """Whatever comes, chunk by chunk."""
        data = self._data
        pos = self._pos
        end = len(data)
        body: bytearray | memoryview | None
        while pos < end:
            stream = self._stream
            if stream is not None:
                left = self._chunk_left
            else:
                # The common case first: one byte that continues a message.
                first = data[pos]
                stream = self._streams.get(first & 0x3F) if first > 0xC1 else None
                if stream is not None and stream.body is not None and not stream.extended:
                    if run_bytes := self._take_run(stream, first, pos):
                        pos += run_bytes
                        continue
                    pos += 1
                else:
                    header_end = self._read_header(pos)
                    if header_end is None:
                        break
                    stream, pos = header_end
                length = stream.length
                body = stream.body
                if body is None:
                    if length <= self._chunk_bytes and length <= end - pos:
                        body = data[pos : pos + length]
                        pos += length
                        if stream.type_id > ABORT:
                            self._pos = pos
                            return _message((stream.type_id, stream.timestamp_ms, stream.stream_id, body))
                        self._control(stream.type_id, body)
                        continue
                    body = self._begin(stream)
                left = min(self._chunk_bytes, length - len(body))
            body = stream.body
            assert body is not None
            here = end - pos
            if here < left:
                body += data[pos:end]
                self._stream = stream
                self._chunk_left = left - here
                pos = end
                break
            body += data[pos : pos + left]
            pos += left
            self._stream = None
            if len(body) == stream.length:
                stream.body = None
                self._in_flight_bytes -= stream.length
                if stream.type_id > ABORT:
                    self._pos = pos
                    return _message((stream.type_id, stream.timestamp_ms, stream.stream_id, body))
                self._control(stream.type_id, body)
        self._pos = pos
        if pos < end:
            self.detach()
        return None

    def _begin(self, stream: _ChunkStream) -> bytearray:
        self._in_flight_bytes += stream.length
        if self._in_flight_bytes > self._limits.bytes_in_flight:
            raise ProtocolError(
                f"unfinished messages of {self._in_flight_bytes} bytes exceed {self._limits.bytes_in_flight}"
            )
        stream.body = bytearray()
        return stream.body

    def _read_header(self, pos: int) -> tuple[_ChunkStream, int] | None:
        """Take the header at `pos`: its chunk stream and where the payload begins. None when it is not all here."""
        data = self._data
        end = len(data)
        chunk_format = data[pos] >> 6
        chunk_stream_id = data[pos] & 0x3F
        pos += 1
        if chunk_stream_id < 2:
            form_bytes = chunk_stream_id + 1
            if pos + form_bytes > end:
                return None
            chunk_stream_id = 64 + int.from_bytes(data[pos : pos + form_bytes], "little")
            pos += form_bytes
        stream = self._streams.get(chunk_stream_id)
        if chunk_format == 3:
            if stream is None:
                raise ProtocolError(f"chunk stream {chunk_stream_id} starts without a header (format 3)")
            return self._continue(stream, pos)
        start = pos
        pos += _HEADER_BYTES[chunk_format]
        if pos > end:
            return None
        # Each field of 3 bytes is read as 4 together with its neighbour, which is cheaper than by itself.
        timestamp_ms = _U32.unpack_from(data, start - 1)[0] & 0xFFFFFF
        extended = b""
        if timestamp_ms == _EXTENDED:
            extended = bytes(data[pos : pos + 4])
            if len(extended) < 4:
                return None
            pos += 4
            timestamp_ms = int.from_bytes(extended, "big")
        if stream is None:
            stream = self._open(chunk_stream_id, chunk_format)
        if stream.body is not None:
            raise ProtocolError(f"chunk stream {chunk_stream_id}: new message before the last one was complete")
        stream.extended = extended
        if chunk_format == 0:
            stream.timestamp_ms = timestamp_ms
            # Encoders disagree on what a format 3 message after format 0 means; a large timestamp is no delta.
            stream.delta_ms = timestamp_ms if timestamp_ms <= _ASSUMED_DELTA_MS else 0
            stream.stream_id = _U32_LITTLE.unpack_from(data, start + 7)[0]
        else:
            stream.delta_ms = timestamp_ms
            stream.timestamp_ms = (stream.timestamp_ms + timestamp_ms) & 0xFFFFFFFF
        if chunk_format < 2:
            length_and_type = _U32.unpack_from(data, start + 3)[0]
            length = length_and_type >> 8
            if length > self.max_message_bytes:
                raise ProtocolError(f"message of {length} bytes exceeds {self.max_message_bytes}")
            stream.length = length
            stream.type_id = length_and_type & 0xFF
        return stream, pos

    def _continue(self, stream: _ChunkStream, pos: int) -> tuple[_ChunkStream, int] | None:
        if stream.extended:
            # Not every encoder repeats the extended timestamp, so it is taken only where it is seen.
            seen = bytes(self._data[pos : pos + 4])
            if seen == stream.extended:
                pos += 4
            elif stream.extended.startswith(seen):
                return None
        if stream.body is None:
            stream.timestamp_ms = (stream.timestamp_ms + stream.delta_ms) & 0xFFFFFFFF
        return stream, pos

    def _open(self, chunk_stream_id: int, chunk_format: int) -> _ChunkStream:
        # librtmp opens the stream of its first ping with format 1, so only a missing length is an error.
        if chunk_format == 2:
            raise ProtocolError(f"chunk stream {chunk_stream_id} starts without a length (format 2)")
        if len(self._streams) >= self._limits.chunk_streams:
            raise ProtocolError(f"more than {self._limits.chunk_streams} chunk streams")
        stream = self._streams[chunk_stream_id] = _ChunkStream()
        return stream

    def _control(self, type_id: int, body: bytearray | memoryview) -> None:
        if type_id == 0:
            return
        if len(body) < 4:
            raise ProtocolError(f"control message {type_id} has {len(body)} bytes, needs 4")
        value = int.from_bytes(body[:4], "big")
        if type_id == SET_CHUNK_SIZE:
            if not 1 <= value <= MAX_CHUNK_BYTES:
                raise ProtocolError(f"chunk size {value} is not within 1..{MAX_CHUNK_BYTES}")
            self._chunk_bytes = value
            return
        aborted = self._streams.get(value)
        if aborted is not None and aborted.body is not None:
            aborted.body = None
            self._in_flight_bytes -= aborted.length
