"""The records of a session's journal: all that the origin knows of what was published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """The session: what is frozen from its first playlist to its last. The first record of every journal."""

    type: ClassVar[str] = "session"
    edge_id: str
    session_id: str
    low_latency: bool
    part_target_s: float
    target_duration_s: int
    window_s: float
    progressive: bool = False
    """Whether the file of the part that comes next can be read while it grows."""
    recording: bool = False
    """Whether the session is to be recorded."""
    frozen: dict[str, Any] = field(default_factory=dict)
    """What the session's worker has fixed for good, for a worker that goes on with the session. Playlists need none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionRecord:
    """A rendition. A later record of the same name replaces it: measured bitrates follow guessed ones."""

    type: ClassVar[str] = "rendition"
    name: str
    kind: str
    codecs: str
    bandwidth_bps: int
    average_bandwidth_bps: int
    width_px: int = 0
    height_px: int = 0
    frame_rate: float = 0.0
    channels: int = 0
    may_carry_captions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """A part is fetchable."""

    type: ClassVar[str] = "part"
    rendition: str
    msn: int
    part: int
    duration_s: float
    independent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRecord:
    """A segment is complete and fetchable. `discontinuities` counts those up to and including its own."""

    type: ClassVar[str] = "segment"
    rendition: str
    msn: int
    duration_s: float
    program_date_time_ms: int
    discontinuity: bool
    discontinuities: int
    init: str
    independent: bool
    gap: bool = False
    """Whether it is only listed: another node had it, and is lost."""
    part_bytes: Sequence[int] = ()
    """The sizes of its parts, which its file holds one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRecord:
    """A segment has begun, at this media time: what its parts need to be listed before it is complete."""

    type: ClassVar[str] = "open"
    rendition: str
    msn: int
    start_s: float
    program_date_time_ms: int
    discontinuity: bool
    discontinuities: int
    init: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailRecord:
    """A sheet of thumbnails has a new one, of the picture at this media time. The recorder keeps sheets."""

    type: ClassVar[str] = "thumbnail"
    sheet: str
    start_s: float
    x_px: int
    y_px: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRecord:
    """The session is over: nothing follows."""

    type: ClassVar[str] = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class RewrittenRecord:
    """The first line of a journal that was rewritten without what is stale.

    From `skip` bytes after this line on, it is what the file before it was from byte `old` on: who has read that one so
    far goes on here, anybody else begins anew. `generation` counts how often it was rewritten.
    """

    type: ClassVar[str] = "rewritten"
    generation: int
    old: int
    skip: int


Record = (
    SessionRecord
    | RenditionRecord
    | OpenRecord
    | PartRecord
    | SegmentRecord
    | ThumbnailRecord
    | EndRecord
    | RewrittenRecord
)
_TYPES: dict[str, type[Any]] = {
    kind.type: kind
    for kind in (
        SessionRecord, RenditionRecord, OpenRecord, PartRecord, SegmentRecord, ThumbnailRecord, EndRecord,
        RewrittenRecord,
    )
}  # fmt: skip
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in _TYPES.values()}
_encode = json.JSONEncoder(separators=(",", ":")).encode


def encode_record(record: Record) -> bytes:
    """One line of the journal."""
    # Not `asdict`, which copies values for several times the cost of the rest.
    values = {name: getattr(record, name) for name in _FIELDS[type(record)]}
    return _encode({"type": record.type, **values}).encode() + b"\n"


def decode_record(line: bytes) -> Record:
    """The record of one line. Raises `ValueError` when it is none."""
    values = json.loads(line)
    kind = _TYPES.get(str(values.pop("type", ""))) if isinstance(values, dict) else None
    if kind is None:
        raise ValueError(f"not a journal record: {line[:80]!r}")
    try:
        record: Record = kind(**values)
    except TypeError as error:
        raise ValueError(f"not a journal record: {line[:80]!r}") from error
    return record
