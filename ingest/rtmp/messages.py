"""What RTMP messages mean (RTMP 1.0, section 5.4, 6.2 and 7.1): typed, except audio and video, which stay bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from config.limits import IngestLimits
from ingest.rtmp import amf0
from ingest.rtmp.chunks import Message
from ingest.rtmp.errors import ProtocolError


class MessageType(IntEnum):
    """Message type ids. Set Chunk Size and Abort never leave the chunk layer."""

    SET_CHUNK_SIZE = 1
    ABORT = 2
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW_ACKNOWLEDGEMENT_SIZE = 5
    SET_PEER_BANDWIDTH = 6
    AUDIO = 8
    VIDEO = 9
    DATA_AMF3 = 15
    COMMAND_AMF3 = 17
    DATA_AMF0 = 18
    COMMAND_AMF0 = 20
    AGGREGATE = 22


class UserControlType(IntEnum):
    """The user control events that a server of publishers meets."""

    STREAM_BEGIN = 0
    PING_REQUEST = 6
    PING_RESPONSE = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class UserControl:
    """A user control message: an event and its data (of a ping: a timestamp of 4 bytes)."""

    event_type: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAcknowledgementSize:
    """The peer wants an acknowledgement each `window_bytes`."""

    window_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPeerBandwidth:
    """The peer wants us to announce this window. The limit type (hard, soft, dynamic) changes nothing for us."""

    window_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command. Its arguments may hold the stream key, so they are not in the repr."""

    name: str = field(repr=False)
    transaction_id: float
    stream_id: int
    arguments: list[Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A data message without its `@setDataFrame`. `body` is AMF0 that begins with the handler's name."""

    name: str
    timestamp_ms: int
    body: bytes = field(repr=False)


Parsed = UserControl | WindowAcknowledgementSize | SetPeerBandwidth | Command | Data

_SUB_HEADER_BYTES = 11
_BACK_POINTER_BYTES = 4


def parse(message: Message, limits: IngestLimits) -> Parsed | None:
    """The meaning of a message; None for a type that says nothing to us. Raises `ProtocolError`."""
    type_id, body = message.type_id, message.body
    if type_id == MessageType.COMMAND_AMF0:
        return _command(message.stream_id, body, limits)
    if type_id == MessageType.COMMAND_AMF3:
        # The leading byte is 0 for "AMF0 follows"; clients that speak AMF3 send AMF0 here all the same.
        return _command(message.stream_id, body[1:], limits)
    if type_id == MessageType.DATA_AMF0:
        return _data(message.timestamp_ms, bytes(body), limits)
    if type_id == MessageType.DATA_AMF3:
        return _data(message.timestamp_ms, bytes(body[1:]), limits)
    if type_id == MessageType.USER_CONTROL:
        if len(body) < 2:
            raise ProtocolError(f"user control message has {len(body)} bytes, needs 2")
        return UserControl(event_type=int.from_bytes(body[:2], "big"), data=bytes(body[2:6]))
    if type_id == MessageType.WINDOW_ACKNOWLEDGEMENT_SIZE:
        return WindowAcknowledgementSize(window_bytes=_window(body))
    if type_id == MessageType.SET_PEER_BANDWIDTH:
        return SetPeerBandwidth(window_bytes=_window(body))
    return None


def split_aggregate(message: Message) -> Iterator[Message]:
    """The messages in an aggregate message, on the aggregate's own clock. Raises `ProtocolError`.

    RTMP 1.0, section 7.1.6: each has an FLV tag header and a back pointer; the difference between the first one's
    timestamp and the aggregate's is added to all.
    """
    data = memoryview(message.body)
    position = 0
    offset_ms: int | None = None
    while position < len(data):
        header = data[position : position + _SUB_HEADER_BYTES]
        if len(header) < _SUB_HEADER_BYTES:
            raise ProtocolError(f"aggregate ends early: header of {_SUB_HEADER_BYTES} bytes, {len(header)} left")
        size = int.from_bytes(header[1:4], "big")
        timestamp_ms = int.from_bytes(header[4:7], "big") | header[7] << 24
        position += _SUB_HEADER_BYTES
        if size > len(data) - position:
            raise ProtocolError(f"aggregate ends early: body of {size} bytes, {len(data) - position} left")
        if offset_ms is None:
            offset_ms = message.timestamp_ms - timestamp_ms
        body = data[position : position + size]
        yield Message(header[0], (timestamp_ms + offset_ms) & 0xFFFFFFFF, message.stream_id, body)
        position += size + _BACK_POINTER_BYTES


def _command(stream_id: int, body: bytes | bytearray | memoryview, limits: IngestLimits) -> Command:
    values = amf0.decode(body, limits)
    if not values or not isinstance(values[0], str):
        raise ProtocolError("command does not begin with a name")
    transaction_id = values[1] if len(values) > 1 and isinstance(values[1], float) else 0.0
    return Command(name=values[0], transaction_id=transaction_id, stream_id=stream_id, arguments=values[2:])


def _data(timestamp_ms: int, body: bytes, limits: IngestLimits) -> Data | None:
    """Only the name is decoded: the rest is for the demuxer, and never decides whether a stream may go on."""
    try:
        decoder = amf0.Decoder(body, limits)
        name = decoder.value()
        if name == "@setDataFrame":
            body = body[decoder.position :]
            name = amf0.Decoder(body, limits).value()
    except amf0.AmfError:
        return None
    return Data(name=name, timestamp_ms=timestamp_ms, body=body) if isinstance(name, str) else None


def _window(body: bytes | bytearray | memoryview) -> int:
    if len(body) < 4:
        raise ProtocolError(f"window message has {len(body)} bytes, needs 4")
    return int.from_bytes(body[:4], "big")
