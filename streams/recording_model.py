"""A recording as everybody sees it, and how it lies in a Redis hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from streams.records import text
from streams.state import EventType


class RecordingState(StrEnum):
    """A recording grows, is closed with what it has, or is closed with nothing."""

    RECORDING = "recording"
    READY = "ready"
    FAILED = "failed"


EVENT_OF = {
    RecordingState.RECORDING: EventType.RECORDING_STARTED,
    RecordingState.READY: EventType.RECORDING_READY,
    RecordingState.FAILED: EventType.RECORDING_FAILED,
}
"""The event by which a recording comes into each state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingProgress:
    """How far a recording has come. `renditions` and `gaps` are plain objects, as the API shows them."""

    state: RecordingState
    started_ms: int | None = None
    duration_s: float = 0.0
    size_bytes: int = 0
    renditions: tuple[Mapping[str, Any], ...] = ()
    gaps: tuple[Mapping[str, Any], ...] = ()
    has_thumbnails: bool = False
    reason: str = ""

    def record(self) -> list[str]:
        """The fields of the hash, but for the state, as a flat list."""
        fields = {
            "started_ms": "" if self.started_ms is None else str(self.started_ms),
            "duration_s": f"{self.duration_s:.3f}",
            "size_bytes": str(self.size_bytes),
            "renditions": json.dumps(self.renditions),
            "gaps": json.dumps(self.gaps),
            "has_thumbnails": str(int(self.has_thumbnails)),
            "reason": self.reason,
        }
        return [item for pair in fields.items() for item in pair]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEntry:
    """One recording as of one moment. `problem` is what keeps it from being stored; `pending_bytes` wait for upload."""

    recording_id: str
    stream_id: str
    env: str
    edge_id: str
    session_id: str
    position: int
    progress: RecordingProgress
    pending_bytes: int = 0
    problem: str = ""


def read_recording_entry(found: Mapping[bytes | str, bytes | str]) -> RecordingEntry:
    """The recording of a hash as `HGETALL` returns it. Raises `KeyError` for a hash that is none."""
    fields = {text(name): text(value) for name, value in found.items()}
    return RecordingEntry(
        recording_id=fields["recording_id"],
        stream_id=fields["stream_id"],
        env=fields["env"],
        edge_id=fields["edge_id"],
        session_id=fields["session_id"],
        position=int(fields["position"]),
        progress=RecordingProgress(
            state=RecordingState(fields["state"]),
            started_ms=int(fields["started_ms"]) if fields["started_ms"] else None,
            duration_s=float(fields["duration_s"]),
            size_bytes=int(fields["size_bytes"]),
            renditions=tuple(json.loads(fields["renditions"])),
            gaps=tuple(json.loads(fields["gaps"])),
            has_thumbnails=fields["has_thumbnails"] == "1",
            reason=fields["reason"],
        ),
        pending_bytes=int(fields.get("pending_bytes", "0")),
        problem=fields.get("problem", ""),
    )
