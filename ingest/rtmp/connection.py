"""The server's side of one RTMP connection from an encoder, without I/O.

Bytes go in with `receive_data`, events come out of `next_event`, and `data_to_send` is to be written after each round:

    handshake -> connecting -> connected -> deciding -> publishing -> done

`publish` is answered only when the owner calls `accept_publish` or `refuse_publish`; until then no byte is parsed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from typing import Any

from config.limits import LIMITS, IngestLimits
from ingest.rtmp import stream_name
from ingest.rtmp.chunks import ChunkReader, Message
from ingest.rtmp.errors import ProtocolError
from ingest.rtmp.events import Event, Media, MetaData, PublishRequested, PublishStopped, Refused
from ingest.rtmp.handshake import Handshake
from ingest.rtmp.messages import (
    Command,
    Data,
    MessageType,
    SetPeerBandwidth,
    UserControl,
    UserControlType,
    WindowAcknowledgementSize,
    parse,
    split_aggregate,
)
from ingest.rtmp.replies import WINDOW_BYTES, Replies

MAX_METADATA_BYTES = 64 * 1024
MAX_ENCODER_NAME_CHARS = 64
_ANSWERS = frozenset({"_result", "_error", "onStatus"})


class State(Enum):
    """Where a connection stands."""

    HANDSHAKE = "handshake"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DECIDING = "deciding"
    PUBLISHING = "publishing"
    DONE = "done"


# By these names, because to look up a member of an enum costs more than all the rest of a comparison.
_HANDSHAKE, _DECIDING, _PUBLISHING, _DONE = State.HANDSHAKE, State.DECIDING, State.PUBLISHING, State.DONE
_media = partial(tuple.__new__, Media)


class ServerConnection:
    """One publisher. Raises `ProtocolError` from `receive_data` and `next_event`; the connection is over then."""

    def __init__(self, limits: IngestLimits = LIMITS) -> None:
        self.state = State.HANDSHAKE
        self.received_bytes = 0
        self._limits = limits
        self._handshake = Handshake()
        self._reader = ChunkReader(limits)
        self._replies = Replies()
        self._events: deque[Event] = deque()
        self._aggregate: Iterator[Message] | None = None
        self._window_bytes = WINDOW_BYTES
        self._acknowledged_bytes = 0
        self._commands_left = limits.commands_before_publish
        self._connect: dict[str, Any] = {}
        self._streams_created = 0
        self._stream_id = 0
        self._commands: dict[str, Callable[[Command], None]] = {
            "connect": self._on_connect,
            "releaseStream": self._on_release_stream,
            "FCPublish": self._on_fc_publish,
            "createStream": self._on_create_stream,
            "publish": self._on_publish,
            "FCUnpublish": self._on_fc_unpublish,
            "deleteStream": self._on_stop,
            "closeStream": self._on_stop,
            "_checkbw": self._on_release_stream,
            "getStreamLength": self._on_get_stream_length,
            "play": self._on_play,
            "play2": self._on_play,
        }

    def receive_data(self, data: memoryview) -> None:
        """Take bytes from the peer. Call `next_event` until it returns None before the buffer is reused."""
        self.received_bytes += len(data)
        if self.state is _DONE:
            return
        if self.state is _HANDSHAKE:
            answer, data = self._handshake.receive_data(data)
            self._replies.raw(answer)
            if not self._handshake.done:
                return
            self.state = State.CONNECTING
        self._reader.feed(data)
        if self.received_bytes - self._acknowledged_bytes >= self._window_bytes:
            self._acknowledged_bytes = self.received_bytes
            self._replies.acknowledgement(self.received_bytes)
        if self.state is _DECIDING:
            if self._reader.unread_bytes > self._limits.bytes_in_flight:
                raise ProtocolError(f"{self._reader.unread_bytes} bytes sent before the answer to publish")
            self._reader.detach()

    def next_event(self) -> Event | None:
        """The next event, or None when more bytes, or a decision, are needed."""
        while True:
            if self._events:
                return self._events.popleft()
            state = self.state
            if state is not _PUBLISHING and (state is _DECIDING or state is _DONE or state is _HANDSHAKE):
                return None
            message = None
            if self._aggregate is not None and (message := next(self._aggregate, None)) is None:
                self._aggregate = None
            if message is None and (message := self._reader.next_message()) is None:
                return None
            type_id, timestamp_ms, _stream_id, body = message
            if type_id == 8 or type_id == 9:
                if body and state is _PUBLISHING:
                    return _media((type_id, timestamp_ms, body))
            elif type_id == MessageType.AGGREGATE:
                # An aggregate inside of another one is no legal message: the outer one ends there.
                fresh = self._aggregate is None and state is _PUBLISHING
                self._aggregate = split_aggregate(message) if fresh else None
            else:
                self._on_message(message)

    def data_to_send(self) -> bytes:
        """Bytes for the peer, each only once."""
        return self._replies.take()

    def accept_publish(self) -> None:
        """Answer `publish` with success. Call `next_event` afterwards: bytes may be waiting."""
        self._expect(State.DECIDING)
        self.state = State.PUBLISHING
        self._reader.max_message_bytes = self._limits.message_after_key_bytes
        self._replies.stream_begin(self._stream_id)
        self._replies.on_status(self._stream_id, "status", "NetStream.Publish.Start", "publishing")

    def refuse_publish(self, code: str, description: str) -> None:
        """Answer `publish` with an error. The connection is done."""
        self._expect(State.DECIDING)
        self._fail(code, description)

    def stop(self, code: str, description: str) -> None:
        """End the connection from our side, with a last status where the peer is far enough to understand it."""
        if self.state in (State.CONNECTED, State.DECIDING, State.PUBLISHING):
            self._fail(code, description)
        self.state = State.DONE

    def _expect(self, state: State) -> None:
        if self.state is not state:
            raise RuntimeError(f"connection is {self.state.value}, not {state.value}")

    def _fail(self, code: str, description: str) -> None:
        self.state = State.DONE
        self._replies.on_status(self._stream_id, "error", code, description)

    def _on_message(self, message: Message) -> None:
        parsed = parse(message, self._limits)
        if isinstance(parsed, Command):
            self._on_command(parsed)
        elif isinstance(parsed, Data):
            if self.state is State.PUBLISHING and parsed.name == "onMetaData" and len(parsed.body) < MAX_METADATA_BYTES:
                self._events.append(MetaData(timestamp_ms=parsed.timestamp_ms, body=parsed.body))
        elif isinstance(parsed, UserControl):
            if parsed.event_type == UserControlType.PING_REQUEST:
                self._replies.pong(parsed.data)
        elif isinstance(parsed, WindowAcknowledgementSize):
            self._window_bytes = parsed.window_bytes or WINDOW_BYTES
        elif isinstance(parsed, SetPeerBandwidth):
            self._replies.window()

    def _on_command(self, command: Command) -> None:
        if self.state is not State.PUBLISHING:
            self._commands_left -= 1
            if self._commands_left < 0:
                raise ProtocolError(f"more than {self._limits.commands_before_publish} commands before publish")
        if command.name in _ANSWERS:
            return
        handler = self._commands.get(command.name)
        if self.state is State.CONNECTING and command.name != "connect":
            self._replies.error(command.transaction_id, "NetConnection.Call.Failed", "connect comes first")
        elif handler is not None:
            handler(command)
        elif command.transaction_id:
            self._replies.error(command.transaction_id, "NetConnection.Call.Failed", "unknown command")

    def _on_connect(self, command: Command) -> None:
        if self.state is not State.CONNECTING:
            self._replies.error(command.transaction_id, "NetConnection.Connect.Rejected", "already connected")
            return
        # An object or an ECMA array; `tcUrl` is spelled in more than one way.
        asked = next((value for value in command.arguments if isinstance(value, dict)), {})
        self._connect = {name.lower(): value for name, value in asked.items()}
        if stream_name.app_name(self._text("app"), self._text("tcurl")) not in (stream_name.APP, ""):
            self._replies.error(command.transaction_id, "NetConnection.Connect.InvalidApp", "the application is live")
            self.state = State.DONE
            self._events.append(Refused("unknown_app"))
            return
        self.state = State.CONNECTED
        self._replies.connected(command.transaction_id, self._connect)

    def _on_release_stream(self, command: Command) -> None:
        self._replies.result(command.transaction_id, None, None)

    def _on_fc_publish(self, command: Command) -> None:
        self._replies.result(command.transaction_id, None, None)
        self._replies.on_fc("onFCPublish", "NetStream.Publish.Start", "go on with publish")

    def _on_create_stream(self, command: Command) -> None:
        self._streams_created += 1
        self._replies.result(command.transaction_id, None, float(self._streams_created))

    def _on_get_stream_length(self, command: Command) -> None:
        self._replies.result(command.transaction_id, None, 0.0)

    def _on_publish(self, command: Command) -> None:
        if self.state is State.PUBLISHING:
            description = "one connection publishes one stream"
            self._replies.on_status(command.stream_id, "error", "NetStream.Publish.BadName", description)
            return
        self._stream_id = command.stream_id
        name = next((value for value in command.arguments if isinstance(value, str)), "")
        key = stream_name.stream_key(self._text("app"), self._text("tcurl"), name)
        if not key:
            self._fail("NetStream.Publish.BadName", "a stream key is needed")
            self._events.append(Refused("no_key"))
            return
        self.state = State.DECIDING
        self._reader.detach()
        self._events.append(PublishRequested(key=key, encoder=self._encoder()))

    def _on_fc_unpublish(self, command: Command) -> None:
        self._replies.result(command.transaction_id, None, None)
        self._replies.on_fc("onFCUnpublish", "NetStream.Unpublish.Success", "unpublished")
        self._on_stop(command)

    def _on_stop(self, command: Command) -> None:
        if self.state is State.PUBLISHING:
            self._replies.on_status(self._stream_id, "status", "NetStream.Unpublish.Success", "unpublished")
            self.state = State.DONE
            self._events.append(PublishStopped())

    def _on_play(self, command: Command) -> None:
        if self.state is State.PUBLISHING:
            self._replies.on_status(command.stream_id, "error", "NetStream.Play.Failed", "play over HLS")
            return
        self._stream_id = command.stream_id
        self._fail("NetStream.Play.Failed", "this server takes publishers; play over HLS")
        self._events.append(Refused("play"))

    def _text(self, name: str) -> str:
        value = self._connect.get(name)
        return value if isinstance(value, str) else ""

    def _encoder(self) -> str:
        """What the encoder calls itself, fit for a log line."""
        name = self._text("flashver")[:MAX_ENCODER_NAME_CHARS]
        return "".join(char if char.isprintable() else "?" for char in name)
