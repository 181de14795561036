"""What ingest tells a session worker, and what the worker reports: the words of the control socket.

The control socket is a SOCK_SEQPACKET pair; each packet is one JSON object with a `type`. Ingest sends `open`
(a `SessionSpec`), `connect` (with the media socket of one encoder connection attached as a file descriptor),
`end`, `drop` and `ping`; the worker sends the `Report`s below. A worker that has lost its ingest process is found by
the next one at `worker_address`, and names its sessions first (`hosting`, `hosted`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

MAX_PACKET_BYTES = 64 * 1024

RECORDED_FILE = "recorded"
"""A file of this name in a session's directory: nothing in there is needed for its recording any more."""

Container = Literal["flv", "mpegts"]
"""What the bytes on a media socket are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec:
    """One session: what to make of a stream's media and where to publish it."""

    stream_id: str
    edge_id: str
    session_id: str
    quality: str
    low_latency: bool
    media_dir: str
    segment_s: float
    part_s: float
    window_s: float
    chunk_s: float = 0.0
    """Media in a chunk of a part that is delivered while it is made; 0: parts are delivered whole."""
    recording: bool = False
    """Whether what is published is to be recorded: written to the session's journal, for the recorder."""
    slate_image: str = ""
    """Path of the picture that is shown while the encoder is away; empty: its last picture, dimmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Worker to ingest, with each segment: how far the session has come, and all that is fixed in it for good.

    A worker that has none of the session's files, on another node, goes on with it by this.
    """

    session_id: str
    session: dict[str, Any]
    """The session's record in its journal (`packager.records.SessionRecord`)."""
    next_msn: int
    media_s: float
    """Published media time of the newest media, in seconds."""
    discontinuities: int
    inits: int
    at_s: float
    """When this was so, in Unix time."""
    complete_msn: int = -1
    """The media sequence number of the newest complete segment; -1 where there is none."""
    complete_until_ms: int = 0
    """The PROGRAM-DATE-TIME at which it ends, in Unix milliseconds."""
    complete_s: float = 0.0
    """How long it is, in the rendition in which it is shortest; 0 where that is not known."""
    type: Literal["checkpoint"] = "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Ingest to worker: host this session. One that another worker has begun is gone on with.

    The worker looks for its files; `checkpoint` is needed only where they may be missing.
    """

    spec: SessionSpec
    checkpoint: Checkpoint | None = None
    type: Literal["open"] = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Ingest to worker: an encoder is connected; its media socket comes with this packet."""

    session_id: str
    connection_id: str
    container: Container
    type: Literal["connect"] = "connect"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Ingest to worker: the session is over; flush, write the end of the playlists and forget it."""

    session_id: str
    type: Literal["end"] = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Ingest to worker: another node goes on with the session; stop, write no end, and forget it."""

    session_id: str
    type: Literal["drop"] = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Worker to ingest: the first part of every rendition is fetchable."""

    session_id: str
    type: Literal["live"] = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Worker to ingest: the session cannot go on. `code` is a machine word, `message` is for people."""

    session_id: str
    code: str
    message: str
    type: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Worker to ingest: the answer to `End` and to `Drop`, after the last byte is written."""

    session_id: str
    type: Literal["ended"] = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Worker to ingest: something worth a log line (a source change, dropped frames, …)."""

    session_id: str
    event: str
    fields: dict[str, Any] = field(default_factory=dict)
    type: Literal["note"] = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Worker to ingest: what the encoder has sent lately (`transcode.source_meter`), every two seconds."""

    session_id: str
    fields: dict[str, Any] = field(default_factory=dict)
    type: Literal["health"] = "health"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Worker to ingest: what the session has measured of itself (`transcode.meter`) since the last time."""

    session_id: str
    counts: dict[str, int]
    seconds: dict[str, float]
    durations: dict[str, tuple[list[int], float]]
    """By stage: how many in each of `config.measures.BUCKETS_S`, and their sum in seconds."""
    backlog: int
    """How many units of the encoder wait now."""
    av_drift_s: float
    """How far sound is from its place beside the picture now, before it is corrected."""
    cpu_s: float
    """CPU time of the worker."""
    type: Literal["stats"] = "stats"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """Worker to ingest that takes it over: it hosts this session.

    `away_s` is for how long the session has had no encoder; `was_connected` says that it had one until its ingest
    process was gone.
    """

    session_id: str
    edge_id: str
    quality: str
    live: bool
    away_s: float
    was_connected: bool
    type: Literal["hosting"] = "hosting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """Worker to ingest that takes it over: it hosts so many sessions, and has named them all."""

    sessions: int
    type: Literal["hosted"] = "hosted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Ingest to worker: are you there?"""

    type: Literal["ping"] = "ping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """Worker to ingest: I am."""

    type: Literal["pong"] = "pong"


Message = (
    Open
    | Connect
    | End
    | Drop
    | Live
    | Failed
    | Ended
    | Note
    | Health
    | Stats
    | Checkpoint
    | Hosting
    | Hosted
    | Ping
    | Pong
)
_TYPES: dict[str, type[Any]] = {
    "open": Open, "connect": Connect, "end": End, "drop": Drop,
    "live": Live, "failed": Failed, "ended": Ended, "note": Note, "health": Health, "stats": Stats,
    "checkpoint": Checkpoint,
    "hosting": Hosting, "hosted": Hosted, "ping": Ping, "pong": Pong,
}  # fmt: skip


def worker_address(node_id: str, worker: str) -> str:
    """Where a worker of this node listens for an ingest process that takes it over: an abstract Unix socket."""
    return f"\0antlive/{node_id}/worker/{worker}"


def encode_message(message: Message) -> bytes:
    """One packet of the control socket."""
    return json.dumps(asdict(message)).encode()


def decode_message(packet: bytes) -> Message:
    """The message of one packet. Raises `ValueError` when it is none of ours."""
    fields = json.loads(packet)
    kind = _TYPES.get(fields.pop("type", None)) if isinstance(fields, dict) else None
    if kind is None:
        raise ValueError(f"unknown control message of {len(packet)} bytes")
    if kind is Open:
        fields["spec"] = SessionSpec(**fields["spec"])
        if fields["checkpoint"] is not None:
            checkpoint = {name: value for name, value in fields["checkpoint"].items() if name != "type"}
            fields["checkpoint"] = Checkpoint(**checkpoint)
    message: Message = kind(**fields)
    return message
