"""Tells Redis how far recordings have come, and hears from it what is to be closed or removed.

The disk is the truth about what is recorded; while Redis is away, what there is to tell waits, the newest of each.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Final

import structlog
from redis.exceptions import RedisError

from packager.recordings.summary import Summary
from recorder.left import Left
from recorder.progress import progress_of
from recorder.recorder import Recorder, Storage
from recorder.session import RecordedSession
from streams.outage import Outage
from streams.problems import problem_of
from streams.recording_model import RecordingProgress, RecordingState
from streams.recordings import PutOutcome, RecordingBusy, RecordingNotFound, RecordingStore
from streams.store import StreamStore

log = structlog.get_logger()

_ROUND_S: Final = 1.0
_UPDATE_S: Final = 2.0
_LEFT_EVERY_S: Final = 3.0
_RETENTION_EVERY_S: Final = 30.0
_OVERLAP_S: Final = 3600.0
"""So far back it is asked each time what was deleted: the clocks of nodes differ."""

_AWAY_AT_MOST_S: Final = 7 * 86_400.0
"""A recorder that begins asks the store for what was deleted in this time, while it may have been away."""


@dataclass(slots=True)
class _Report:
    """What there is to tell of a recording. `started` says that it is known in Redis, `is_partial` that there may be
    more of it on a disk that can't be read at the moment.
    """

    edge_id: str
    session_id: str
    progress: RecordingProgress
    is_partial: bool = False
    started: bool = False
    is_told: bool = False
    next_s: float = 0.0
    is_orphan: bool = False  # said to have no stream


class RedisTeller:
    """Runs beside a `Recorder`."""

    def __init__(self, streams: StreamStore, recordings: RecordingStore, retention_s: float) -> None:
        self._streams = streams
        self._recordings = recordings
        self._retention_s = retention_s
        self._reports: dict[str, _Report] = {}
        self._wake = asyncio.Event()
        self._outage = Outage("recordings_not_told")
        self._heard_s = 0.0
        self._removed: set[str] = set()
        self._next_left_s = 0.0
        self._next_retention_s = 0.0
        self._left = Left(streams, recordings)
        self._has_looked = False
        self._storage: dict[str, Storage | None] = {}  # as Redis has it, None: not known; of those that may change
        self._next_storage_s = 0.0

    def tell(self, session: RecordedSession, summary: Summary, *, state: str, reason: str = "") -> None:
        """See `recorder.Teller`."""
        progress = progress_of(summary, RecordingState(state), reason)
        is_partial = not session.is_opened
        self._put(session.recording_id, session.edge_id, session.session_id, progress, is_partial=is_partial)

    def _put(
        self,
        recording_id: str,
        edge_id: str,
        session_id: str,
        progress: RecordingProgress,
        *,
        is_partial: bool = False,
    ) -> None:
        self._storage.setdefault(recording_id, None)
        report = self._reports.get(recording_id)
        if report is None:
            self._reports[recording_id] = _Report(edge_id, session_id, progress, is_partial)
            self._wake.set()
        elif progress != report.progress or is_partial != report.is_partial:
            report.progress, report.is_partial, report.is_told = progress, is_partial, False
            if progress.state is not RecordingState.RECORDING:
                report.next_s = 0.0
                self._wake.set()

    async def run(self, recorder: Recorder) -> None:
        """Tell and listen until cancelled."""
        while True:
            with self._outage.noted():
                await self.round(recorder)
            self._wake.clear()
            try:
                async with asyncio.timeout(_ROUND_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def last_round(self, recorder: Recorder) -> None:
        """Tell what there is to tell, now."""
        for report in self._reports.values():
            report.next_s = 0.0
        try:
            await self.round(recorder)
        except (RedisError, OSError) as error:
            log.warning("recordings_not_told", error=problem_of(error))

    async def round(self, recorder: Recorder) -> None:
        """One round. Raises errors of Redis; what was not told stays."""
        now_s = time.monotonic()
        for recording_id, report in list(self._reports.items()):
            if not report.is_told and report.next_s <= now_s:
                report.next_s = now_s + _UPDATE_S
                await self._tell(recording_id, report, recorder)
        await self._remove_deleted(recorder)
        if now_s >= self._next_storage_s:
            self._next_storage_s = now_s + _UPDATE_S
            await self._tell_storage(recorder)
        if not self._has_looked:
            await self._take_up(recorder)
            self._has_looked = True
        if now_s >= self._next_left_s:
            self._next_left_s = now_s + _LEFT_EVERY_S
            told = {recording_id: report.progress.state for recording_id, report in self._reports.items()}
            for entry, progress in await self._left.close(recorder, told):
                self._put(entry.recording_id, entry.edge_id, entry.session_id, progress)
        if self._retention_s and now_s >= self._next_retention_s:
            self._next_retention_s = now_s + _RETENTION_EVERY_S
            await self._delete_old()

    async def _tell(self, recording_id: str, report: _Report, recorder: Recorder) -> None:
        stream_id = await self._stream_id(recording_id, report)
        if stream_id is None:
            if not report.is_orphan:
                log.error("recording_without_stream", recording_id=recording_id, edge_id=report.edge_id)
            report.is_told = report.is_orphan = True
            return
        progress = report.progress
        if report.is_partial and not report.started:
            entry = await self._recordings.find(recording_id)
            if entry is not None and entry.progress.size_bytes:
                report.is_told = True  # an earlier run has told more of it
                return
        if not report.started and progress.state is RecordingState.READY:
            begun = replace(progress, state=RecordingState.RECORDING)
            await self._send(recording_id, stream_id, report, begun, recorder.node_id)
        if progress.state is not RecordingState.RECORDING:  # what kept it from being stored is over with it
            await self._note_storage(recording_id, recorder)
        outcome = await self._send(recording_id, stream_id, report, progress, recorder.node_id)
        report.started = True
        report.is_told = report.progress is progress
        if outcome is PutOutcome.DELETED:
            await recorder.remove(recording_id)
            self._forget(recording_id)
        elif report.is_told and progress.state is not RecordingState.RECORDING:
            del self._reports[recording_id]

    async def _tell_storage(self, recorder: Recorder) -> None:
        for recording_id in recorder.reading.unreadable:
            self._storage.setdefault(recording_id, None)
        for recording_id, told in list(self._storage.items()):
            storage = await self._note_storage(recording_id, recorder)
            if storage == told == Storage() and recording_id not in self._reports:
                del self._storage[recording_id]

    async def _note_storage(self, recording_id: str, recorder: Recorder) -> Storage:
        storage = recorder.storage(recording_id)
        if storage != self._storage.get(recording_id) and await self._recordings.note_storage(recording_id, *storage):
            self._storage[recording_id] = storage
        return storage

    async def _send(
        self, recording_id: str, stream_id: str, report: _Report, progress: RecordingProgress, node_id: str
    ) -> PutOutcome:
        return await self._recordings.put(
            recording_id, stream_id=stream_id, session_id=report.session_id, progress=progress, node_id=node_id
        )

    async def _stream_id(self, recording_id: str, report: _Report) -> str | None:
        stream = await self._streams.find_by_edge(report.edge_id)
        if stream is not None:
            return stream.stream_id
        entry = await self._recordings.find(recording_id)
        return None if entry is None else entry.stream_id

    async def _remove_deleted(self, recorder: Recorder) -> None:
        since_s, now_s = self._heard_s, time.time()
        deleted = await self._recordings.deleted_since(since_s)
        # What was deleted days before this process began has long left the store, if it was not here.
        in_store = deleted if since_s else await self._recordings.deleted_since(now_s - _AWAY_AT_MOST_S)
        # A copy that was being fetched from the store meanwhile comes afterwards.
        present = await recorder.present(deleted)
        for recording_id in deleted:
            if recording_id in present or recording_id not in self._removed:
                await recorder.remove(recording_id, in_store=recording_id in in_store)
                self._removed.add(recording_id)
                self._forget(recording_id)
        self._heard_s = now_s - _OVERLAP_S

    def _forget(self, recording_id: str) -> None:
        """There is nothing to tell any more of one that was deleted."""
        self._reports.pop(recording_id, None)
        self._storage.pop(recording_id, None)
        self._left.forget(recording_id)

    async def _take_up(self, recorder: Recorder) -> None:
        """Recordings on this disk of which Redis knows nothing: it was away for too long, or has lost its newest."""
        for recording_id, recording in await recorder.recordings():
            if recording.head is None:
                continue
            entry = await self._recordings.find(recording_id)
            if entry is not None:
                if (entry.pending_bytes or entry.problem) and recorder.has_recorded(recording_id):
                    self._storage.setdefault(recording_id, None)
                continue
            if recording_id in self._reports:
                continue  # it has begun meanwhile, and what there is to tell of it is newer than this
            log.warning("recording_taken_up", recording_id=recording_id)
            state = RecordingState.RECORDING
            if recording.is_over:
                state = RecordingState.READY if recording.has_media else RecordingState.FAILED
            head = recording.head
            self._put(recording_id, head.edge_id, head.session_id, progress_of(Summary.of(recording), state))

    async def _delete_old(self) -> None:
        for recording_id in await self._recordings.closed_before(time.time() - self._retention_s):
            entry = await self._recordings.find(recording_id)
            if entry is None:
                continue
            try:
                await self._recordings.delete(
                    recording_id, stream_id=entry.stream_id, env=entry.env, reason="retention"
                )
            except (RecordingNotFound, RecordingBusy) as error:
                log.info("recording_not_deleted", recording_id=recording_id, error=type(error).__name__)
