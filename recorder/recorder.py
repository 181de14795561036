"""The recorder of a node: finds the sessions that are to be recorded, follows each, and closes what is over."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog

from config.session import RECORDED_FILE
from packager.recordings.object_store import ObjectStore
from packager.recordings.recording import RECORDING_ID, Recording, read_recording
from packager.recordings.summary import Summary
from recorder.closing import Closing
from recorder.reading import Reading
from recorder.removal import remove_recording
from recorder.session import OVER, RecordedSession
from recorder.storing import Disk
from recorder.tally import Tally
from recorder.uploader import Uploader

log = structlog.get_logger()

POLL_S = 0.25
IDLE_POLL_S = 0.5
"""A session that begins keeps all that it publishes for longer than this."""
_QUIET_S = 8.0
"""A session that is over for Redis may still be written to for a moment; more than a worker gets to end it."""

GIVE_UP_S = 300.0
"""How long after the end of its session a recording waits for a disk that is full, or a spool that is."""

_MEDIA_FREE_MIN = 0.1
"""Where less of the media directory's file system is free nothing waits there: live streams need it."""

_STALLED_POLL_S = 1.0
_SESSIONS = "lse_*/se_*"


class Teller(Protocol):
    """Whom the recorder tells. None of this raises or waits: what can't be told now is told later."""

    def tell(self, session: RecordedSession, summary: Summary, *, state: str, reason: str = "") -> None:
        """How far a recording has come: `recording`, `ready` or `failed`. Unless the session `is_opened`, there may
        be more of the recording than the summary says."""


class Storage(NamedTuple):
    """How a recording is kept at the moment: how much waits to be uploaded, and what keeps it from being stored."""

    pending_bytes: int = 0
    problem: str = ""


class Recorder:
    """Records whatever sessions in this media directory say that they are to be recorded."""

    def __init__(
        self,
        media_dir: Path,
        disk: Disk,
        node_id: str,
        teller: Teller,
        now_s: Callable[[], float] = time.monotonic,
        *,
        store: ObjectStore | None = None,
        uploader: Uploader | None = None,
    ) -> None:
        self._media_dir = media_dir
        self._disk = disk
        self._node_id = node_id
        self._teller = teller
        self._now_s = now_s
        self._store = store
        self._uploader = uploader
        self.tally = Tally()
        self.reading = Reading(disk.recordings_dir)
        self._closing = Closing(disk, node_id, self.reading, store)
        self._sessions: dict[Path, RecordedSession] = {}
        self._ignored: set[Path] = set()
        self._news_s: dict[Path, float] = {}
        self._over_s: dict[Path, float] = {}  # since when sessions that are over have something that can't be stored
        self._end_told: set[Path] = set()  # of sessions that were given up, and whose journals could not be closed yet
        self._tried_s: dict[Path, float] = {}
        self.has_looked = False
        self._lock = asyncio.Lock()

    @property
    def node_id(self) -> str:
        """The node whose sessions are recorded here."""
        return self._node_id

    async def run(self) -> None:
        """Record until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(POLL_S if self._sessions else IDLE_POLL_S)

    async def look(self) -> None:
        """One look at everything."""
        async with self._lock:
            found, over = await asyncio.to_thread(self._found)
            self._take_note(found, over)
            sessions = list(self._sessions.values())
            outcomes = await asyncio.gather(*map(self._follow, sessions), return_exceptions=True)
            self.has_looked = True
        for session, outcome in zip(sessions, outcomes, strict=True):
            if isinstance(outcome, Exception):
                log.error("session_not_recorded", session_id=session.session_id, exc_info=outcome)

    def is_followed(self, recording_id: str) -> bool:
        """Whether the session of this recording is written on this node, and was a moment ago."""
        return any(
            session.recording_id == recording_id and self._now_s() - self._news_s[path] < _QUIET_S
            for path, session in self._sessions.items()
        )

    async def close_left(self, recording_id: str) -> Summary | None:
        """Close a recording whose session is over and did not say so here; None when there is none on this disk."""
        async with self._lock:
            if not await self._leave_over(recording_id):
                return None
            await self._closing.fetch_others(recording_id)
            return await self._closing.close(recording_id)

    async def close_part(self, recording_id: str, *, waits: bool) -> Summary | None:
        """Close what this node has of a recording that another one has closed; None when that can't be done yet.

        With a store the journal of the other is there, or will be: as long as the caller `waits` it is waited for.
        """
        async with self._lock:
            if not await self._leave_over(recording_id):
                return None
            await self._closing.fetch_others(recording_id, only_closed=True)
            if waits and self._store is not None and not await self._closing.is_closed(recording_id):
                return None
            return await self._closing.close(recording_id)

    async def recordings(self) -> list[tuple[str, Recording]]:
        """The recordings on this disk, by id, that can be read."""
        return await asyncio.to_thread(self._recordings)

    async def remove(self, recording_id: str, *, in_store: bool = True) -> None:
        """Remove a recording from this disk, and from the store: always if it was here, else if `in_store`."""
        if RECORDING_ID.fullmatch(recording_id):
            async with self._lock:
                for session in list(self._sessions.values()):
                    if session.recording_id == recording_id:
                        await self._leave(session)
            directory = self._directory(recording_id)
            if self._uploader is not None and (in_store or await asyncio.to_thread(directory.is_dir)):
                self._uploader.remove(recording_id)  # first: from now on nobody fetches it from the store
            await asyncio.to_thread(remove_recording, directory)

    async def present(self, recording_ids: list[str]) -> set[str]:
        """Those of which there is something on this disk."""
        return await asyncio.to_thread(lambda: {each for each in recording_ids if self._directory(each).is_dir()})

    def recorded_sessions(self) -> list[RecordedSession]:
        """The sessions that are being recorded."""
        return [session for session in self._sessions.values() if session.is_recorded]

    def has_recorded(self, recording_id: str) -> bool:
        """Whether this node has recorded any of it."""
        return (self._directory(recording_id) / f"{self._node_id}.jsonl").exists()

    def storage(self, recording_id: str) -> Storage:
        """How a recording is kept at the moment."""
        problems = [each.problem for each in self._sessions.values() if each.recording_id == recording_id]
        pending_bytes = self._disk.spool.pending_bytes(recording_id) if self._disk.spool is not None else 0
        if pending_bytes and self._uploader is not None:
            problems.append(self._uploader.problem)
        problems.append(self.reading.unreadable.get(recording_id, ""))
        return Storage(pending_bytes, "; ".join(dict.fromkeys(filter(None, problems))))

    async def last_look(self) -> None:
        """Store what there is now, and stop following."""
        await self.look()
        for session in self._sessions.values():
            session.leave()

    def _directory(self, recording_id: str) -> Path:
        return self._disk.recordings_dir / recording_id

    def _recordings(self) -> list[tuple[str, Recording]]:
        found = []
        for directory in self._disk.recordings_dir.glob("rec_*"):
            with suppress(OSError, ValueError):  # which `reading` says
                found.append((directory.name, read_recording(directory)))
        return found

    def _found(self) -> tuple[set[Path], set[Path]]:
        """The directories of sessions, and which of them are new and need no recording any more."""
        found = set(self._media_dir.glob(_SESSIONS))
        return found, {path for path in found - self._sessions.keys() - self._ignored if _is_over(path)}

    def _take_note(self, found: set[Path], over: set[Path]) -> None:
        self._ignored = (self._ignored & found) | over
        for path in found - self._sessions.keys() - self._ignored:
            self._sessions[path] = RecordedSession(path, self._disk, self._node_id, self.tally)
            self._news_s[path] = self._now_s()
        for path in self._sessions.keys() - found:
            session = self._sessions[path]
            if not session.is_known or not (session.has_news or session.has_ended):
                if session.is_recorded:
                    self.reading.unclosed.add(session.recording_id)
                session.leave()
                self._drop(path)

    async def _follow(self, session: RecordedSession) -> None:
        if not session.has_news and not session.has_ended:
            return
        path, now_s = session.session_dir, self._now_s()
        if session.problem and now_s - self._tried_s[path] < _STALLED_POLL_S:
            return
        self._tried_s[path], is_written = now_s, session.is_written
        try:
            stored = await asyncio.to_thread(session.step)
        except ValueError as error:
            log.error("journal_not_readable", session_id=session.session_id, error=str(error))
            self._ignore(session)
            return
        if session.is_known and is_written and not session.is_gone:
            self._news_s[path] = self._now_s()
        if session.is_known and not session.is_recorded:
            self._ignore(session)
        elif session.has_ended and (session.is_complete or await self._give_up_in_time(session)):
            await self._finish(session)
        elif session.is_gone and session.is_complete:
            await asyncio.to_thread(session.move)
            self.reading.unclosed.add(session.recording_id)
            self._closing.grows_no_more(session.recording_id)
        is_told = stored or (session.problem and session.has_published and not session.has_given_up)
        if is_told and path in self._sessions:
            self._teller.tell(session, session.summary, state="recording")

    async def _give_up_in_time(self, session: RecordedSession) -> bool:
        """Whether what can't be stored is given up, of a session that is over."""
        if session.has_given_up or not session.problem:
            return session.has_given_up
        waited_s = self._now_s() - self._over_s.setdefault(session.session_dir, self._now_s())
        if waited_s >= GIVE_UP_S or await asyncio.to_thread(self._is_media_short):
            await asyncio.to_thread(session.give_up)
        return session.has_given_up

    def _is_media_short(self) -> bool:
        stat = os.statvfs(self._media_dir)
        return stat.f_bavail < _MEDIA_FREE_MIN * stat.f_blocks

    async def _finish(self, session: RecordedSession) -> None:
        started_s = self._now_s()
        if not session.has_published and not session.summary.renditions:
            await self._leave(session)
            return
        await self._closing.fetch_others(session.recording_id)
        try:
            summary = await asyncio.to_thread(session.finish)
        except OSError:  # which is the session's problem now
            if await self._give_up_in_time(session) and session.session_dir not in self._end_told:
                self._tell_end(session, session.summary)
                self._end_told.add(session.session_dir)
            return
        self._closing.is_closed_now(session.recording_id)
        state = self._tell_end(session, summary)
        log.info(
            "recording_finished",
            recording_id=session.recording_id,
            state=state,
            duration_s=round(summary.duration_s, 3),
            gaps=len(summary.gaps),
            took_ms=round((self._now_s() - started_s) * 1000),
        )
        self._ignore(session)

    def _tell_end(self, session: RecordedSession, summary: Summary) -> str:
        state, reason = ("ready", "") if summary.has_media else ("failed", "nothing_stored")
        self._teller.tell(session, summary, state=state, reason=session.lost_to or reason)
        return state

    async def _leave_over(self, recording_id: str) -> bool:
        """Follow the session of this recording no more; False when there is something that waits to be stored."""
        for session in list(self._sessions.values()):
            if session.recording_id == recording_id:
                if not session.is_complete:
                    await self._give_up_in_time(session)
                    return False  # what was given up is closed with the next look
                await self._leave(session)
        return True

    async def _leave(self, session: RecordedSession) -> None:
        session.leave()
        await asyncio.to_thread(session.mark, OVER)
        self._ignore(session)

    def _ignore(self, session: RecordedSession) -> None:
        self._ignored.add(session.session_dir)
        self._drop(session.session_dir)

    def _drop(self, path: Path) -> None:
        self._sessions.pop(path, None)
        for times_s in (self._news_s, self._over_s, self._tried_s):
            times_s.pop(path, None)
        self._end_told.discard(path)


def _is_over(session_dir: Path) -> bool:
    try:
        return (session_dir / RECORDED_FILE).read_text() == OVER
    except FileNotFoundError:
        return False
