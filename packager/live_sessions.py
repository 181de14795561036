"""The sessions that viewers ask for: their journals replayed and followed, and the requests that wait for more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import structlog
from inotify_simple import INotify, flags

from packager.journal import FILE_NAME, JournalReader
from packager.presentation import Presentation
from packager.publication import CURRENT

log = structlog.get_logger()

# Removal shows by the journal's: the directory itself is not gone before all who have the journal open close it.
_WATCHED = flags.MODIFY | flags.MOVED_TO | flags.DELETE


_QUIET_TARGET_DURATIONS: Final = 1.5


class SessionGone(Exception):
    """The session has no media here any more, or never had."""


class Waiting(Protocol):
    """Requests that wait for the same and are answered together."""

    def __len__(self) -> int:
        """How many there are."""

    def is_due(self, now: Presentation) -> bool:
        """Whether what they wait for is there."""

    def wake(self, *, gone: bool) -> None:
        """It is there; or the session is `gone`, and it will never be."""


class LiveSession:
    """One session, as far as its journal says now."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.presentation = Presentation()
        self.version = 0
        """Counts the looks at the journal that brought something new."""
        self.used_s = time.monotonic()
        self.rendered: dict[tuple[str, bool], tuple[int, bytes, bytes | None]] = {}
        """What the origin has rendered: version, text and, once asked for, gzipped text; by rendition and kind."""
        self.groups: dict[Hashable, Waiting] = {}
        """Requests that wait in groups; a group leaves when it is woken."""
        self.on_news: Callable[[LiveSession], None] = lambda session: None
        """Hears that there is more, before those do who wait for it."""
        self._reader = JournalReader(directory / FILE_NAME)
        self._gone = False
        self._waiting: dict[asyncio.Future[None], Callable[[Presentation], bool]] = {}

    @property
    def held_requests(self) -> int:
        """How many requests wait here."""
        return len(self._waiting) + sum(len(group) for group in self.groups.values())

    @property
    def is_ready(self) -> bool:
        """Whether every rendition has something to list."""
        renditions = self.presentation.renditions
        return bool(renditions) and all(rendition.has_media for rendition in renditions.values())

    @property
    def target_duration_s(self) -> int:
        """The target duration; 0 before anything is known."""
        return 0 if self.presentation.session is None else self.presentation.session.target_duration_s

    @property
    def quiet_s(self) -> float:
        """For how long nothing was published."""
        return self._reader.quiet_s()

    @property
    def is_delivering(self) -> bool:
        """Whether it is written here at the moment: every rendition has something, and more has come lately."""
        return self.is_ready and self.quiet_s < self.target_duration_s * _QUIET_TARGET_DURATIONS

    @property
    def may_be_waited_for(self) -> bool:
        """Whether more of it can be expected here, without asking any other node."""
        known = self.presentation
        return known.session is not None and known.session.low_latency and not known.ended and self.is_delivering

    @property
    def stale(self) -> bool:
        """Whether the journal is not as it was at the last look."""
        return self._reader.has_news()

    def refresh(self) -> None:
        """Read what is new in the journal and wake the requests that waited for it. Raises `SessionGone`."""
        try:
            anew, records = self._reader.poll()
        except FileNotFoundError:
            raise SessionGone(self.directory.name) from None
        if anew:
            self.presentation = Presentation()
        if records:
            self.presentation.feed(records)
            self.version += 1
            self.on_news(self)
            self._wake()

    async def wait_until(self, condition: Callable[[Presentation], bool], timeout_s: float) -> bool:
        """Whether the condition came to hold in time. A caller that is cancelled frees its place at once.

        Raises `SessionGone` when the session is let go meanwhile.
        """
        if condition(self.presentation):
            return True
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = condition
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        finally:
            del self._waiting[future]
        if self._gone:
            raise SessionGone(self.directory.name)
        return True

    def let_go(self) -> None:
        """Nothing more comes: whoever waits gets `SessionGone`."""
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        for group in list(self.groups.values()):
            if self._gone or group.is_due(self.presentation):
                group.wake(gone=self._gone)
        # Each condition is asked here: to wake a task costs far more, and most changes are to other renditions.
        for future, condition in self._waiting.items():
            if not future.done() and (self._gone or condition(self.presentation)):
                future.set_result(None)


class LiveSessions:
    """The sessions in memory. inotify tells when a journal has grown; a session nobody asks for is let go."""

    def __init__(self, media_dir: Path, idle_s: float = 30.0) -> None:
        self._media_dir = media_dir
        self._idle_s = idle_s
        self.on_news: Callable[[LiveSession], None] = lambda session: None
        """See `LiveSession.on_news`."""
        self._inotify = INotify()
        self._sessions: dict[tuple[str, str], LiveSession] = {}
        self._watches: dict[int, tuple[str, str]] = {}
        self._closed = False
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def held_requests(self) -> int:
        """How many requests wait, over all sessions."""
        return sum(session.held_requests for session in self._sessions.values())

    def start(self) -> None:
        """Begin to watch; needs a running loop."""
        asyncio.get_running_loop().add_reader(self._inotify.fd, self._changed)
        self._sweep()

    def close(self) -> None:
        """Stop watching and let everybody who waits go."""
        asyncio.get_running_loop().remove_reader(self._inotify.fd)
        if self._sweeper is not None:
            self._sweeper.cancel()
        for session in self._sessions.values():
            session.let_go()
        self._closed = True
        self._sessions.clear()
        self._watches.clear()
        self._inotify.close()

    def directory(self, edge_id: str, session_id: str) -> Path:
        """Where the media of a session are, if they are here."""
        return self._media_dir / edge_id / session_id

    def current(self, edge_id: str) -> LiveSession:
        """The session that viewers of this edge id get. Raises `SessionGone`."""
        try:
            session_id = (self._media_dir / edge_id / CURRENT).read_text()
        except OSError:
            raise SessionGone(edge_id) from None
        return self.get(edge_id, session_id)

    def get(self, edge_id: str, session_id: str) -> LiveSession:
        """A session by its ids. Raises `SessionGone`."""
        key = (edge_id, session_id)
        session = self._sessions.get(key)
        if session is None:
            session = self._load(key)
        elif session.stale and not self._refresh(key):
            # inotify is a hint and may still be on its way; the journal is the truth.
            raise SessionGone(session_id)
        session.used_s = time.monotonic()
        return session

    def known(self, edge_id: str, session_id: str) -> LiveSession | None:
        """A session by its ids; None when it is not here."""
        with suppress(SessionGone):
            return self.get(edge_id, session_id)
        return None

    def _load(self, key: tuple[str, str]) -> LiveSession:
        session = LiveSession(self._media_dir.joinpath(*key))
        session.on_news = self.on_news
        if self._closed:
            raise SessionGone(key[1])
        # Watched first, read afterwards: a change between the two is not missed.
        try:
            watch = self._inotify.add_watch(session.directory, _WATCHED)
        except OSError:
            raise SessionGone(key[1]) from None
        self._sessions[key] = session
        self._watches[watch] = key
        if not self._refresh(key):
            raise SessionGone(key[1])
        return session

    def _changed(self) -> None:
        events = self._inotify.read(timeout=0)
        if any(event.mask & flags.Q_OVERFLOW for event in events):
            keys = set(self._sessions)
        else:
            keys = {self._watches[event.wd] for event in events if event.wd in self._watches}
        for key in keys:
            self._refresh(key)

    def _refresh(self, key: tuple[str, str]) -> bool:
        """Read what is new of a session; one that is gone or not readable is let go."""
        try:
            self._sessions[key].refresh()
        except SessionGone:
            self._forget(key)
            return False
        except ValueError as error:
            log.error("journal_not_readable", session_id=key[1], error=str(error))
            self._forget(key)
            return False
        return True

    def _forget(self, key: tuple[str, str]) -> None:
        self._sessions.pop(key).let_go()
        for watch in [watch for watch, watched in self._watches.items() if watched == key]:
            del self._watches[watch]
            try:
                self._inotify.rm_watch(watch)
            except OSError as error:
                # The kernel has dropped the watch together with the directory.
                log.debug("watch_already_gone", session_id=key[1], error=str(error))

    def _sweep(self) -> None:
        idle_since_s = time.monotonic() - self._idle_s
        for key in [key for key, session in self._sessions.items() if session.used_s < idle_since_s]:
            if not self._sessions[key].held_requests:
                self._forget(key)
        self._sweeper = asyncio.get_running_loop().call_later(self._idle_s / 2, self._sweep)
