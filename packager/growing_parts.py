"""Parts that are delivered while they are made: each growing file is read once, for all who have asked for it.

The journal alone says when a part is whole; inotify only says that there is more to read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import structlog
from inotify_simple import INotify, flags

from packager.files import temporary_of
from packager.live_sessions import LiveSession, SessionGone
from packager.presentation import Presentation

log = structlog.get_logger()

_WATCHED = flags.MODIFY | flags.CREATE


class GrowingPart:
    """A part's bytes so far. `is_over` once nothing more comes; then `is_whole` says whether the part came to be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self.viewers = 0
        self.chunks: list[bytes] = []
        self.is_over = False
        self.is_whole = False

    async def next_chunks(self, seen: int) -> list[bytes]:
        """What follows the chunks already seen; waits for it. Empty once the part is over."""
        while len(self.chunks) == seen and not self.is_over:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        return self.chunks[seen:]

    def read(self) -> None:
        """Take in what the file has grown by."""
        if self._file is None:
            # Unbuffered: what a buffered reader has seen the end of it does not look at again.
            for path in (temporary_of(self._path), self._path):
                with suppress(FileNotFoundError):
                    self._file = path.open("rb", buffering=0)
                    break
            else:
                return
        if data := self._file.read():
            self.chunks.append(data)
            self._wake()

    async def follow(self, session: LiveSession, condition: Callable[[Presentation], bool], hold_s: float) -> None:
        """Until the journal names the part, or it can't come any more, or `hold_s` have passed."""
        try:
            with suppress(SessionGone):
                await session.wait_until(condition, hold_s)
            self.read()
            self.is_whole = self._is_this_file()
        finally:
            self.is_over = True
            self._wake()

    def _is_this_file(self) -> bool:
        """Whether the part that came to be is the one that was read: a new worker begins it anew."""
        try:
            return self._file is not None and self._path.stat().st_ino == os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class GrowingParts:
    """The parts that somebody is waiting for now, and the directories that are watched for them."""

    def __init__(self) -> None:
        self._inotify = INotify()
        self._parts: dict[Path, tuple[GrowingPart, asyncio.Task[None]]] = {}
        self._watches: dict[int, Path] = {}

    @property
    def watched(self) -> int:
        """How many directories are watched."""
        return len(self._watches)

    def start(self) -> None:
        """Begin to watch; needs a running loop."""
        asyncio.get_running_loop().add_reader(self._inotify.fd, self._changed)

    def close(self) -> None:
        """Stop watching. Whoever still reads gets no more than the journal's word."""
        asyncio.get_running_loop().remove_reader(self._inotify.fd)
        self._watches.clear()
        self._inotify.close()

    @contextmanager
    def part(
        self, path: Path, session: LiveSession, condition: Callable[[Presentation], bool], hold_s: float
    ) -> Iterator[GrowingPart]:
        """The part that will be at `path`, shared with everybody else who asks for it meanwhile."""
        known = self._parts.get(path)
        if known is None:
            part = GrowingPart(path)
            # Watched first, read afterwards: what comes between the two is not missed.
            self._watch(path.parent)
            part.read()
            task = asyncio.get_running_loop().create_task(part.follow(session, condition, hold_s))
            known = self._parts[path] = part, task
        part, task = known
        part.viewers += 1
        try:
            yield part
        finally:
            part.viewers -= 1
            if not part.viewers:
                task.cancel()
                part.close()
                del self._parts[path]
                self._unwatch(path.parent)

    def _watch(self, directory: Path) -> None:
        if directory not in self._watches.values():
            with suppress(OSError):  # gone: then there is nothing to read either
                self._watches[self._inotify.add_watch(directory, _WATCHED)] = directory

    def _unwatch(self, directory: Path) -> None:
        if any(path.parent == directory for path in self._parts):
            return
        for watch in [watch for watch, watched in self._watches.items() if watched == directory]:
            del self._watches[watch]
            try:
                self._inotify.rm_watch(watch)
            except OSError as error:
                log.debug("watch_already_gone", error=str(error))

    def _changed(self) -> None:
        events = self._inotify.read(timeout=0)
        if any(event.mask & flags.Q_OVERFLOW for event in events):
            paths = set(self._parts)
        else:
            paths = {
                self._watches[event.wd] / event.name.removeprefix(".") for event in events if event.wd in self._watches
            }
        for path in paths & self._parts.keys():
            self._parts[path][0].read()
