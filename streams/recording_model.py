"""A recording as everybody sees it, and how it lies in a Redis hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from streams.recording_parts import RecordingPart, whole_of
from streams.records import text
from streams.state import EventType

PART_PREFIX = "part:"
"""Of the fields of the hash that hold what a node has recorded beside the one whose word was the last."""


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
    """How far a recording has come. `renditions` and `gaps` are plain objects, as the API shows them.

    `nodes` are those whose journals were read for it: what others have recorded is not in it.
    """

    state: RecordingState
    started_ms: int | None = None
    duration_s: float = 0.0
    size_bytes: int = 0
    renditions: tuple[Mapping[str, Any], ...] = ()
    gaps: tuple[Mapping[str, Any], ...] = ()
    has_thumbnails: bool = False
    reason: str = ""
    nodes: frozenset[str] = frozenset()

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
            "nodes": json.dumps(sorted(self.nodes)),
        }
        return [item for pair in fields.items() for item in pair]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEntry:
    """One recording as of one moment. `problem` is what keeps it from being stored; `pending_bytes` wait for upload;
    `node_id` is of the node whose word was the last.

    `parts` is empty unless several nodes have recorded it and none of them has all; then `progress` is of all of them.
    """

    recording_id: str
    stream_id: str
    env: str
    edge_id: str
    session_id: str
    position: int
    progress: RecordingProgress
    pending_bytes: int = 0
    problem: str = ""
    node_id: str = ""
    parts: tuple[RecordingPart, ...] = ()


def with_parts(progress: RecordingProgress, parts: tuple[RecordingPart, ...]) -> RecordingProgress:
    """The same of the whole recording, when these are its parts. With media of any node it has not failed."""
    if not parts:
        return progress
    whole = whole_of(parts)
    if progress.state is RecordingState.FAILED and whole.size_bytes:
        progress = replace(progress, state=RecordingState.READY, reason="")
    return replace(
        progress,
        started_ms=whole.started_ms,
        duration_s=whole.duration_s,
        size_bytes=whole.size_bytes,
        gaps=whole.gaps,
    )


def part_of(node_id: str, progress: RecordingProgress) -> RecordingPart:
    """What a node says of a recording, as its part of it."""
    return RecordingPart(
        node_id=node_id,
        started_ms=progress.started_ms,
        duration_s=progress.duration_s,
        size_bytes=progress.size_bytes,
        gaps=progress.gaps,
    )


def read_recording_entry(found: Mapping[bytes | str, bytes | str]) -> RecordingEntry:
    """The recording of a hash as `HGETALL` returns it. Raises `KeyError` for a hash that is none."""
    fields = {text(name): text(value) for name, value in found.items()}
    progress = replace(
        _read_progress(fields),
        state=RecordingState(fields["state"]),
        renditions=tuple(json.loads(fields["renditions"])),
        has_thumbnails=fields["has_thumbnails"] == "1",
        reason=fields["reason"],
        nodes=frozenset(json.loads(fields.get("nodes", "[]"))),
    )
    parts = [
        part_of(name.removeprefix(PART_PREFIX), _read_progress(json.loads(value)))
        for name, value in fields.items()
        if name.startswith(PART_PREFIX)
    ]
    if parts:
        parts.append(part_of(fields["node_id"], progress))
        parts.sort(key=lambda part: (part.started_ms is None, part.started_ms))
    return RecordingEntry(
        recording_id=fields["recording_id"],
        stream_id=fields["stream_id"],
        env=fields["env"],
        edge_id=fields["edge_id"],
        session_id=fields["session_id"],
        position=int(fields["position"]),
        progress=with_parts(progress, tuple(parts)),
        pending_bytes=int(fields.get("pending_bytes", "0")),
        problem=fields.get("problem", ""),
        node_id=fields.get("node_id", ""),
        parts=tuple(parts),
    )


def _read_progress(fields: Mapping[str, str]) -> RecordingProgress:
    return RecordingProgress(
        state=RecordingState.RECORDING,
        started_ms=int(fields["started_ms"]) if fields["started_ms"] else None,
        duration_s=float(fields["duration_s"]),
        size_bytes=int(fields["size_bytes"]),
        gaps=tuple(json.loads(fields["gaps"])),
    )
