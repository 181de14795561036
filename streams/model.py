"""The stream as everybody sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from streams.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream as of one moment. `key_hash` is the SHA-256 of the key it accepts; the key itself is kept nowhere."""

    stream_id: str
    edge_id: str
    env: str
    name: str
    quality: str
    low_latency: bool
    recording: bool
    reconnect_window_s: int
    state: State
    created_at: datetime
    key_hash: str = field(repr=False)
    epoch: int = 0  # counts the sessions of this stream; fences off writers of earlier ones
    seq: int = 0  # counts the events of this stream
    session_id: str | None = None  # the latest session; set once there was one
    node_id: str | None = None  # where the latest session runs or ran
    started_at: datetime | None = None  # when the stream last went live
    ended_at: datetime | None = None  # when a session last ended, well or in error
    reason: str | None = None  # what brought about the present state: a machine word
    position: int = field(
        default=0, compare=False
    )  # its place among the streams of its environment; a later one has a higher


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A session that was begun: the stream as it now is, and the epoch that its writers must show.

    Or one that is `resumed`: another node began it. `checkpoint` says how far it has come; empty before it was live.
    """

    stream: Stream
    epoch: int
    resumed: bool = False
    checkpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSession:
    """A running session of a node, as a restarted node finds it."""

    stream: Stream
    stream_id: str
    session_id: str
    epoch: int
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPage:
    """A page of a list, newest first."""

    streams: tuple[Stream, ...]
    total: int  # how many the whole list has
    has_more: bool  # whether older ones follow
