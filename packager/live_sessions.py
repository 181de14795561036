"""The sessions that viewers ask for: their journals replayed and followed, and the requests that wait for more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from inotify_simple import INotify, flags

from packager.journal import FILE_NAME, JournalReader
from packager.presentation import Presentation
from packager.publication import CURRENT

log = structlog.get_logger()

_IDLE_S = 30.0


class SessionGone(Exception):
    """The session has no media here any more, or never had."""


class LiveSession:
    """One session, as far as its journal says now."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.presentation = Presentation()
        self.version = 0
        """Counts the looks at the journal that brought something new."""
        self.used_s = time.monotonic()
        self.rendered: dict[tuple[str, bool], tuple[int, bytes, bytes]] = {}
        """What the origin has rendered: version, text and gzipped text, by rendition and kind."""
        self._reader = JournalReader(directory / FILE_NAME)
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def held_requests(self) -> int:
        """How many requests wait here."""
        return len(self._waiting)

    def refresh(self) -> None:
        """Read what is new in the journal and wake the requests that wait. Raises `SessionGone`."""
        try:
            anew, records = self._reader.poll()
        except FileNotFoundError:
            self.wake()
            raise SessionGone(self.directory.name) from None
        if anew:
            self.presentation = Presentation()
        if records:
            self.presentation.feed(records)
            self.version += 1
            self.wake()

    async def wait_until(self, condition: Callable[[Presentation], bool], timeout_s: float) -> bool:
        """Whether the condition came to hold in time. A caller that is cancelled frees its place at once."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        while not condition(self.presentation):
            left_s = deadline_s - loop.time()
            if left_s <= 0:
                return False
            future = loop.create_future()
            self._waiting.add(future)
            try:
                await asyncio.wait_for(future, left_s)
            except TimeoutError:
                return False
            finally:
                self._waiting.discard(future)
        return True

    def wake(self) -> None:
        """Let every waiting request look again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


class LiveSessions:
    """The sessions in memory. inotify tells when a journal has grown; a session nobody asks for is let go."""

    def __init__(self, media_dir: Path) -> None:
        self._media_dir = media_dir
        self._inotify = INotify()
        self._sessions: dict[tuple[str, str], LiveSession] = {}
        self._watches: dict[int, tuple[str, str]] = {}
        self._sweeper: asyncio.TimerHandle | None = None

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
            session.wake()
        self._sessions.clear()
        self._inotify.close()

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
            session = LiveSession(self._media_dir / edge_id / session_id)
            try:
                watch = self._inotify.add_watch(session.directory, flags.MODIFY | flags.MOVED_TO | flags.DELETE_SELF)
            except OSError:
                raise SessionGone(session_id) from None
            # Watched first, read afterwards: a change between the two is not missed.
            session.refresh()
            self._sessions[key] = session
            self._watches[watch] = key
        session.used_s = time.monotonic()
        return session

    def _changed(self) -> None:
        for key in {self._watches.get(event.wd) for event in self._inotify.read(timeout=0)}:
            if key is None or key not in self._sessions:
                continue
            try:
                self._sessions[key].refresh()
            except SessionGone:
                self._forget(key)
            except ValueError as error:
                log.error("journal_not_readable", session_id=key[1], error=str(error))
                self._forget(key)

    def _forget(self, key: tuple[str, str]) -> None:
        self._sessions.pop(key).wake()
        for watch in [watch for watch, watched in self._watches.items() if watched == key]:
            del self._watches[watch]
            try:
                self._inotify.rm_watch(watch)
            except OSError as error:
                # The kernel has dropped the watch together with the directory.
                log.debug("watch_already_gone", session_id=key[1], error=str(error))

    def _sweep(self) -> None:
        idle_since_s = time.monotonic() - _IDLE_S
        for key in [key for key, session in self._sessions.items() if session.used_s < idle_since_s]:
            if not self._sessions[key].held_requests:
                self._forget(key)
        self._sweeper = asyncio.get_running_loop().call_later(_IDLE_S / 2, self._sweep)
