"""An encoder's side of RTMP for the tests: bytes to send, and the server's replies as messages."""

from __future__ import annotations

from typing import Any

from config.limits import IngestLimits
from ingest.rtmp import amf0
from ingest.rtmp.chunk_writer import ChunkWriter
from ingest.rtmp.chunks import ChunkReader, Message
from ingest.rtmp.connection import ServerConnection
from ingest.rtmp.events import Event, Media, PublishRequested
from ingest.rtmp.messages import MessageType

HELLO = bytes([3]) + bytes(2 * 1536)
SERVER_HELLO_BYTES = 1 + 2 * 1536
TCP_SERVER = "rtmp://example.org/live"
WIDE = IngestLimits(message_before_key_bytes=1 << 24)

writer = ChunkWriter()
"""Writes with the chunk size that every connection starts with."""


def command(*values: Any, stream_id: int = 0, type_id: int = MessageType.COMMAND_AMF0) -> bytes:
    """A command as chunks."""
    prefix = b"\0" if type_id == MessageType.COMMAND_AMF3 else b""
    return writer.write(3, Message(type_id, 0, stream_id, prefix + amf0.encode(*values)))


def control(type_id: int, body: bytes, chunk_stream_id: int = 2) -> bytes:
    """A control message as one chunk."""
    return writer.write(chunk_stream_id, Message(type_id, 0, 0, body))


def media(type_id: int, timestamp_ms: int, body: bytes, stream_id: int = 1) -> bytes:
    """An audio, video or data message as chunks."""
    return writer.write(6, Message(type_id, timestamp_ms, stream_id, body))


CONNECT = command("connect", 1.0, {"app": "live", "tcUrl": TCP_SERVER, "flashVer": "test encoder"})
CREATE_STREAM = command("createStream", 2.0, None)


def publish(name: Any = "sk_key", transaction_id: float = 3.0) -> bytes:
    """The publish command."""
    return command("publish", transaction_id, None, name, "live", stream_id=1)


class Replies:
    """Reads what the server sends."""

    def __init__(self) -> None:
        self._reader = ChunkReader(WIDE)
        self._hello_left = SERVER_HELLO_BYTES
        self.messages: list[Message] = []

    def feed(self, data: bytes) -> None:
        """Take bytes from the server; whole messages are added to `messages`."""
        hello = min(self._hello_left, len(data))
        self._hello_left -= hello
        self._reader.feed(memoryview(data)[hello:])
        while (message := self._reader.next_message()) is not None:
            self.messages.append(message._replace(body=bytes(message.body)))

    @property
    def commands(self) -> list[list[Any]]:
        """All commands so far, as AMF0 values."""
        return [amf0.decode(m.body, WIDE) for m in self.messages if m.type_id == MessageType.COMMAND_AMF0]

    @property
    def codes(self) -> list[str]:
        """The status codes of all commands so far."""
        infos = [value for values in self.commands for value in values if isinstance(value, dict)]
        return [info["code"] for info in infos if "code" in info]


class Peer:
    """A protocol core with an encoder in front of it."""

    def __init__(self, limits: IngestLimits | None = None) -> None:
        self.core = ServerConnection(limits or IngestLimits())
        self.replies = Replies()

    def send(self, data: bytes, step: int | None = None) -> list[Event]:
        """Give bytes to the core, `step` at a time through one reused buffer, and collect the events."""
        step = step or max(1, len(data))
        buffer = bytearray(step)
        events: list[Event] = []
        for start in range(0, max(1, len(data)), step):
            piece = data[start : start + step]
            buffer[: len(piece)] = piece
            self.core.receive_data(memoryview(buffer)[: len(piece)])
            events += self.drain()
        return events

    def drain(self) -> list[Event]:
        """The events that are waiting, with bodies that outlive the buffer."""
        events: list[Event] = []
        while (event := self.core.next_event()) is not None:
            events.append(event._replace(body=bytes(event.body)) if isinstance(event, Media) else event)
        self.replies.feed(self.core.data_to_send())
        return events

    def ask(self, *chunks: bytes) -> PublishRequested:
        """From the first byte to the publish request."""
        events = self.send(HELLO + b"".join(chunks or (CONNECT, CREATE_STREAM, publish())))
        assert len(events) == 1
        assert isinstance(events[0], PublishRequested)
        return events[0]

    def accept(self) -> list[Event]:
        """Accept the publisher; the events of what it had sent already."""
        self.core.accept_publish()
        return self.drain()


def publishing(limits: IngestLimits | None = None) -> Peer:
    """A peer that was accepted."""
    peer = Peer(limits)
    peer.ask()
    assert peer.accept() == []
    return peer
