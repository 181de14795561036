"""Recordings that are over without their session's journal having said so on this node.

The node was lost, or it restarted; or the session went on on another node, and ended there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import structlog

from recorder.progress import progress_of
from recorder.recorder import Recorder
from streams.recording_model import RecordingEntry, RecordingProgress, RecordingState
from streams.recordings import RecordingStore
from streams.state import SESSION_STATES
from streams.store import StreamStore

log = structlog.get_logger()

OTHERS_FIRST_S: Final = 30.0
"""So long is waited before a recording is closed that another node may have recorded the last of."""

UPLOADED_S: Final = 300.0
"""So long is waited for the other node to upload what it has recorded."""

_ASKED_EVERY_S: Final = 15.0
"""So often the store is asked for it."""

_Closed = list[tuple[RecordingEntry, RecordingProgress]]


class Left:
    """Closes them. `close` now and then."""

    def __init__(self, streams: StreamStore, recordings: RecordingStore) -> None:
        self._streams = streams
        self._recordings = recordings
        self._over_since_s: dict[str, float] = {}
        self._asked_s: dict[str, float] = {}

    def forget(self, recording_id: str) -> None:
        """It was deleted."""
        self._over_since_s.pop(recording_id, None)
        self._asked_s.pop(recording_id, None)

    async def close(self, recorder: Recorder, told: Mapping[str, RecordingState]) -> _Closed:
        """Close what is to be closed; what there is to tell of it. `told` has what was told last, by recording id."""
        if not recorder.has_looked:
            return []  # it may yet find the session's journal
        open_ids = await self._recordings.open_ids()
        ends = {recording_id for recording_id, state in told.items() if state is not RecordingState.RECORDING}
        closed = [await self._close_last(recorder, each, each in told) for each in open_ids if each not in ends]
        parts = recorder.reading.unclosed - set(open_ids) - ends
        closed += [await self._close_part(recorder, each) for each in sorted(parts)]
        return [each for each in closed if each is not None]

    async def _close_last(
        self, recorder: Recorder, recording_id: str, has_told: bool
    ) -> tuple[RecordingEntry, RecordingProgress] | None:
        """One that nobody has closed; whether this recorder has told of it."""
        if recorder.is_followed(recording_id):
            return None
        entry = await self._recordings.find(recording_id)
        if entry is None:
            return None
        stream = await self._streams.find_by_edge(entry.edge_id)
        is_latest = stream is not None and stream.session_id == entry.session_id
        if stream is not None and is_latest and stream.state in SESSION_STATES:
            self._over_since_s.pop(recording_id, None)
            return None
        # Unless the session was this node's last, another may have recorded the end of it, and be about to say so.
        if stream is not None and is_latest:
            is_ours = stream.node_id == recorder.node_id
        else:
            is_ours = has_told and entry.node_id == recorder.node_id
        if not is_ours and self._over_s(recording_id) < OTHERS_FIRST_S:
            return None
        summary = await recorder.close_left(recording_id)
        if summary is None:
            return None
        self.forget(recording_id)
        state = RecordingState.READY if summary.has_media else RecordingState.FAILED
        log.warning("recording_closed_late", recording_id=recording_id, state=state.value)
        return entry, progress_of(summary, state, "session_lost")

    async def _close_part(
        self, recorder: Recorder, recording_id: str
    ) -> tuple[RecordingEntry, RecordingProgress] | None:
        """One that the node has closed to which its session went."""
        now_s = time.monotonic()
        if now_s < self._asked_s.get(recording_id, now_s) or recorder.is_followed(recording_id):
            return None
        if not recorder.has_recorded(recording_id):
            return None
        entry = await self._recordings.find(recording_id)
        if entry is None or entry.progress.state is RecordingState.RECORDING:
            return None
        self._asked_s[recording_id] = now_s + _ASKED_EVERY_S
        summary = await recorder.close_part(recording_id, waits=self._over_s(recording_id) < UPLOADED_S)
        if summary is None:
            return None
        self.forget(recording_id)
        log.info("recording_part_closed", recording_id=recording_id, duration_s=round(summary.duration_s, 3))
        return entry, progress_of(summary, entry.progress.state, entry.progress.reason)

    def _over_s(self, recording_id: str) -> float:
        now_s = time.monotonic()
        return now_s - self._over_since_s.setdefault(recording_id, now_s)
