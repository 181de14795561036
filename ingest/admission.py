"""The door between the protocols and a stream: what a protocol server asks for, and what it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

CLEAN = "clean"
"""The encoder has said goodbye: FCUnpublish or deleteStream, or SRT's shutdown."""

Buffer = bytes | bytearray | memoryview


class Refusal(Enum):
    """Why a publisher is refused. The protocol servers map each to their own wire code."""

    WRONG_KEY = "wrong_key"
    ALREADY_PUBLISHING = "already_publishing"
    FULL = "full"
    UNKNOWN_QUALITY = "unknown_quality"
    TRY_AGAIN = "try_again"


class PublishRefused(Exception):
    """The publisher may not publish. The message is for the encoder's log and never holds the key."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.stream_id: str | None = None
        """The stream that has the key, if one does."""

    @property
    def about(self) -> dict[str, str]:
        """What a log line says of it: the message, and the stream if it is known."""
        return {"detail": str(self)} | ({} if self.stream_id is None else {"stream_id": self.stream_id})


class EncoderConnection(Protocol):
    """One connection from an encoder, as the stream sees it."""

    def close(self, reason: str) -> None:
        """Cut this connection. `reason` is a machine word for the log, such as `overflow` or `key_rotated`."""


def _measures_nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """An encoder that asks to publish. The key is a secret: it is hashed and then forgotten."""

    key: str
    protocol: str
    remote_address: str
    encoder: str
    connection: EncoderConnection
    transport: Callable[[], Mapping[str, int | float] | None] = _measures_nothing
    """What the protocol measures of the connection now, in the words of `streams.health.SrtHealth`."""

    @property
    def remote_host(self) -> str:
        """`remote_address` without the port."""
        return self.remote_address.rpartition(":")[0]

    def __repr__(self) -> str:
        return f"PublishRequest(protocol={self.protocol!r}, remote_address={self.remote_address!r})"


class MediaSink(Protocol):
    """Where the media of an accepted connection go."""

    stream_id: str
    session_id: str
    connection_number: int
    """Of the session's connections, from 1."""

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Hand on whole FLV tags of three buffers each, or whole MPEG-TS packets. Never blocks.

        Views may be reused after the call. A reader that is too slow ends the connection: the sink calls
        `EncoderConnection.close("overflow")`.
        """

    def close(self, reason: str) -> None:
        """The encoder is gone: `CLEAN` after a proper goodbye, else why the connection ended. Idempotent."""


def about(sink: MediaSink) -> dict[str, str | int]:
    """What a log line about a publisher says: its stream, its session, and which of the session's connections it is."""
    return {"stream_id": sink.stream_id, "session_id": sink.session_id, "connection": sink.connection_number}


class Admission(Protocol):
    """Decides who may publish."""

    async def publish(self, request: PublishRequest) -> MediaSink:
        """Claim the stream of this key. Raises `PublishRefused`."""
