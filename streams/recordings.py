"""The recordings in Redis: what there is, how far each has come, which are to be removed. Errors of Redis pass through.

Each change is one script that also appends the event. The files are the recorders' matter.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import structlog
from redis.asyncio import Redis

from streams.keys import Keys
from streams.recording_model import (
    EVENT_OF,
    RecordingEntry,
    RecordingProgress,
    RecordingState,
    part_of,
    read_recording_entry,
    with_parts,
)
from streams.records import text
from streams.scripts import change_request, change_script_text
from streams.state import SESSION_STATES, EventType
from streams.times import utc_now

log = structlog.get_logger()

DELETED_KEPT_S: Final = 90 * 86_400
"""How long it is remembered that a recording was deleted, for recorders that are away."""


_NOTE_STORAGE: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'pending_bytes', ARGV[1], 'problem', ARGV[2])
return 1
"""


class RecordingNotFound(Exception):
    """The environment has no such recording."""


class RecordingBusy(Exception):
    """The session of the recording goes on."""


class PutOutcome(StrEnum):
    """What became of a report: taken in; deleted meanwhile; closed before; new, but its stream is gone."""

    OK = "ok"
    DELETED = "deleted"
    OVER = "over"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPage:
    """A page of a list, newest first."""

    recordings: tuple[RecordingEntry, ...]
    total: int
    has_more: bool


class RecordingStore:
    """Recordings below one key prefix."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._put = redis.register_script(change_script_text("recording_put"))
        self._note_storage = redis.register_script(_NOTE_STORAGE)
        self._delete = redis.register_script(change_script_text("recording_delete"))

    async def put(
        self, recording_id: str, *, stream_id: str, session_id: str, progress: RecordingProgress, node_id: str = ""
    ) -> PutOutcome:
        """How far a recording has come, on this node. The first report makes it known; each new state is an event.

        What other nodes have recorded, and this one has not read, stays beside it as a part of its own.
        """
        data: dict[str, object] = {"recordingId": recording_id}
        state, reason = progress.state, progress.reason
        if state is not RecordingState.RECORDING:
            whole = await self._whole(recording_id, progress, node_id)
            data |= {"duration": round(whole.duration_s, 3), "size": whole.size_bytes, "gaps": len(whole.gaps)}
            state, reason = whole.state, whole.reason
        request = change_request(
            prefix=self._keys.prefix,
            stream_id=stream_id,
            at=utc_now(),
            reason=reason or EVENT_OF[state].value.removeprefix("recording."),
            data=data,
            type=EVENT_OF[state].value,
            recording_id=recording_id,
            session_id=session_id,
            node_id=node_id,
            nodes=sorted(progress.nodes | {node_id}),
            state=state.value,
            record=replace(progress, state=state, reason=reason).record(),
            at_us=str(time.time_ns() // 1000),
            at_epoch_s=str(int(time.time())),
        )
        keys = [
            *self._keys.of_stream(stream_id),
            self._keys.recording(recording_id),
            self._keys.open_recordings,
            self._keys.closed_recordings,
            self._keys.deleted_recordings,
        ]
        outcome, *_ = await self._put(keys=keys, args=[request])
        return PutOutcome(text(outcome))

    async def _whole(self, recording_id: str, progress: RecordingProgress, node_id: str) -> RecordingProgress:
        """The progress with what other nodes have told."""
        entry = await self.find(recording_id)
        if entry is None:
            return progress
        known = entry.parts or (part_of(entry.node_id, entry.progress),)
        others = [part for part in known if part.node_id not in {"", node_id, *progress.nodes}]
        return with_parts(progress, (*others, part_of(node_id, progress)) if others else ())

    async def note_storage(self, recording_id: str, pending_bytes: int, problem: str) -> bool:
        """How a recording is kept at the moment, which is no event; False when it is not known (any more)."""
        args = [str(pending_bytes), problem]
        return bool(await self._note_storage(keys=[self._keys.recording(recording_id)], args=args))

    async def get(self, env: str, recording_id: str) -> RecordingEntry:
        """A recording of this environment. Raises `RecordingNotFound`."""
        entry = await self.find(recording_id)
        if entry is None or entry.env != env:
            raise RecordingNotFound(recording_id)
        return entry

    async def find(self, recording_id: str) -> RecordingEntry | None:
        """A recording, in whatever environment."""
        found: Mapping[Any, Any] = await self._redis.hgetall(self._keys.recording(recording_id))
        return read_recording_entry(found) if found else None

    async def of_stream(self, stream_id: str, *, limit: int, below: int | None = None) -> RecordingPage:
        """At most `limit` recordings of a stream, newest first; with `below` those of a lower position."""
        return await self._page(self._keys.stream_recordings(stream_id), limit, below)

    async def of_environment(self, env: str, *, limit: int, below: int | None = None) -> RecordingPage:
        """The same of all streams of an environment, deleted ones included."""
        return await self._page(self._keys.environment_recordings(env), limit, below)

    async def delete(self, recording_id: str, *, stream_id: str, env: str, reason: str) -> None:
        """Delete a recording (event `recording.deleted`). Raises `RecordingNotFound`, `RecordingBusy`."""
        now_s = int(time.time())
        request = change_request(
            prefix=self._keys.prefix,
            stream_id=stream_id,
            at=utc_now(),
            reason=reason,
            data={"recordingId": recording_id},
            type=EventType.RECORDING_DELETED.value,
            recording_id=recording_id,
            env=env,
            at_epoch_s=str(now_s),
            forget_s=str(now_s - DELETED_KEPT_S),
            busy={state.value: True for state in SESSION_STATES},
        )
        keys = [
            *self._keys.of_stream(stream_id),
            self._keys.recording(recording_id),
            self._keys.closed_recordings,
            self._keys.deleted_recordings,
            self._keys.open_recordings,
        ]
        outcome, *_ = await self._delete(keys=keys, args=[request])
        if text(outcome) == "missing":
            raise RecordingNotFound(recording_id)
        if text(outcome) == "busy":
            raise RecordingBusy(recording_id)
        log.info("recording_deleted", recording_id=recording_id, stream_id=stream_id, env=env, reason=reason)

    async def open_ids(self) -> list[str]:
        """The recordings that are not closed."""
        found: Any = await self._redis.smembers(self._keys.open_recordings)
        return sorted(text(item) for item in found)

    async def closed_before(self, unix_s: float) -> list[str]:
        """The recordings that were closed before this time."""
        found: Any = await self._redis.zrangebyscore(self._keys.closed_recordings, "-inf", unix_s)
        return [text(item) for item in found]

    async def deleted_since(self, unix_s: float) -> list[str]:
        """The recordings that were deleted since this time."""
        found: Any = await self._redis.zrangebyscore(self._keys.deleted_recordings, unix_s, "+inf")
        return [text(item) for item in found]

    async def _page(self, key: str, limit: int, below: int | None) -> RecordingPage:
        newest = "+inf" if below is None else f"({below}"
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zrevrangebyscore(key, newest, "-inf", start=0, num=limit + 1)
            pipe.zcard(key)
            ids, total = await pipe.execute()
        async with self._redis.pipeline(transaction=False) as pipe:
            for recording_id in ids[:limit]:
                pipe.hgetall(self._keys.recording(text(recording_id)))
            hashes = await pipe.execute()
        entries = tuple(read_recording_entry(found) for found in hashes if found)
        return RecordingPage(recordings=entries, total=int(total), has_more=len(ids) > limit)
