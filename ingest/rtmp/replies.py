"""The messages that a server sends to a publisher, as bytes on the wire."""

from __future__ import annotations

import struct
from typing import Any

from ingest.rtmp import amf0
from ingest.rtmp.chunk_writer import ChunkWriter
from ingest.rtmp.chunks import Message
from ingest.rtmp.messages import MessageType, UserControlType

WINDOW_BYTES = 2_500_000
CHUNK_BYTES = 65536
_CONTROL_CHUNK_STREAM = 2
_COMMAND_CHUNK_STREAM = 3
_STATUS_CHUNK_STREAM = 5
_DYNAMIC_LIMIT = 2
# Enhanced RTMP v2, "Enhancing NetConnection connect command": 1 says that a codec is decoded, 4 that it is forwarded;
# capsEx 4 that modified packets are understood, and 2 that several tracks are.
_VIDEO_INFO, _AUDIO_INFO = {"avc1": 5.0, "hvc1": 5.0, "av01": 5.0, "vp09": 5.0}, {"mp4a": 5.0, "Opus": 5.0, ".mp3": 1.0}
_CODEC_LISTS: dict[str, Any] = {
    "fourCcList": [*_VIDEO_INFO, *_AUDIO_INFO],
    "videoFourCcInfoMap": _VIDEO_INFO,
    "audioFourCcInfoMap": {**_AUDIO_INFO, "ac-3": 1.0, "ec-3": 1.0, "fLaC": 1.0},
    "capsEx": 6.0,
}


class Replies:
    """Collects what is to be sent. `take` empties it."""

    def __init__(self) -> None:
        self._writer = ChunkWriter()
        self._out = bytearray()

    def take(self) -> bytes:
        """All bytes that are waiting to be sent."""
        if not self._out:
            return b""
        out = bytes(self._out)
        self._out.clear()
        return out

    def raw(self, data: bytes) -> None:
        """Bytes that are no message: the handshake."""
        self._out += data

    def acknowledgement(self, received_bytes: int) -> None:
        """RTMP 1.0, section 5.4.3."""
        self._control(MessageType.ACKNOWLEDGEMENT, struct.pack(">I", received_bytes & 0xFFFFFFFF))

    def window(self) -> None:
        """RTMP 1.0, section 5.4.4."""
        self._control(MessageType.WINDOW_ACKNOWLEDGEMENT_SIZE, struct.pack(">I", WINDOW_BYTES))

    def pong(self, data: bytes) -> None:
        """The answer to a ping: its own timestamp."""
        self._control(MessageType.USER_CONTROL, struct.pack(">H", UserControlType.PING_RESPONSE) + data)

    def stream_begin(self, stream_id: int) -> None:
        """RTMP 1.0, section 7.1.7."""
        self._control(MessageType.USER_CONTROL, struct.pack(">HI", UserControlType.STREAM_BEGIN, stream_id))

    def connected(self, transaction_id: float, asked: dict[str, Any]) -> None:
        """The answer to `connect`. `asked` has the keys of the command object in lower case.

        Enhanced RTMP clients are told what is taken, in the words in which they asked.
        """
        self.window()
        self._control(MessageType.SET_PEER_BANDWIDTH, struct.pack(">IB", WINDOW_BYTES, _DYNAMIC_LIMIT))
        # Some encoders send with the chunk size that they are told; large chunks are cheaper to read.
        self._control(MessageType.SET_CHUNK_SIZE, struct.pack(">I", CHUNK_BYTES))
        self._writer.chunk_bytes = CHUNK_BYTES
        codecs = {name: value for name, value in _CODEC_LISTS.items() if name.lower() in asked}
        info = _status("status", "NetConnection.Connect.Success", "connected") | {"objectEncoding": 0.0} | codecs
        self.result(transaction_id, {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0} | codecs, info)

    def result(self, transaction_id: float, *values: Any) -> None:
        """A `_result`: command object, then values."""
        self._command(_COMMAND_CHUNK_STREAM, 0, "_result", transaction_id, *values)

    def error(self, transaction_id: float, code: str, description: str) -> None:
        """An `_error` with its info object."""
        self._command(_COMMAND_CHUNK_STREAM, 0, "_error", transaction_id, None, _status("error", code, description))

    def on_fc(self, name: str, code: str, description: str) -> None:
        """`onFCPublish` or `onFCUnpublish`. Not the stream name goes back, as others do: it is the key."""
        self._command(_COMMAND_CHUNK_STREAM, 0, name, 0.0, None, _status("status", code, description))

    def on_status(self, stream_id: int, level: str, code: str, description: str) -> None:
        """An `onStatus` on a message stream."""
        info = _status(level, code, description)
        self._command(_STATUS_CHUNK_STREAM, stream_id, "onStatus", 0.0, None, info)

    def _command(self, chunk_stream_id: int, stream_id: int, *values: Any) -> None:
        message = Message(MessageType.COMMAND_AMF0, 0, stream_id, amf0.encode(*values))
        self._out += self._writer.write(chunk_stream_id, message)

    def _control(self, message_type: MessageType, body: bytes) -> None:
        self._out += self._writer.write(_CONTROL_CHUNK_STREAM, Message(message_type, 0, 0, body))


def _status(level: str, code: str, description: str) -> dict[str, Any]:
    return {"level": level, "code": code, "description": description}
