"""Removes copies of recordings, fetched from a store for who played them here, once the recordings are deleted."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from redis.exceptions import RedisError

from packager.recordings.fetching import FETCHED_PREFIX
from recorder.removal import remove_recording
from streams.problems import problem_of
from streams.recordings import RecordingStore

log = structlog.get_logger()

_EVERY_S: Final = 2.0
_OVERLAP_S: Final = 3600.0
"""So long after its deletion a recording is looked for: a fetch may have been on its way, and clocks differ."""

_FETCH_AT_MOST_S: Final = 600.0
"""What is fetched for longer was left by a process that was killed; so often that is looked for."""


class DeletedCopies:
    """Looks in one directory. What this node has recorded itself is its recorder's matter."""

    def __init__(self, recordings: RecordingStore, recordings_dir: Path, node_id: str) -> None:
        self._recordings = recordings
        self._dir = recordings_dir
        self._own = f"{node_id}.jsonl"
        self._heard_s = 0.0
        self._next_sweep_s = 0.0
        self._is_away = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """One look: all that was ever deleted at first, then what was lately. Raises errors of Redis, `OSError`."""
        now_s = time.time()
        deleted = await self._recordings.deleted_since(self._heard_s)
        await asyncio.to_thread(self._remove, deleted)
        if now_s >= self._next_sweep_s:
            self._next_sweep_s = now_s + _FETCH_AT_MOST_S
            await asyncio.to_thread(self._sweep)
        self._heard_s = now_s - _OVERLAP_S

    def _remove(self, deleted: list[str]) -> None:
        for recording_id in deleted:
            directory = self._dir / recording_id
            if directory.is_dir() and not (directory / self._own).exists():
                remove_recording(directory)

    def _sweep(self) -> None:
        for path in self._dir.glob(f"{FETCHED_PREFIX}*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _FETCH_AT_MOST_S:
                    shutil.rmtree(path, ignore_errors=True)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
                self._is_away = False
            except (RedisError, OSError) as error:
                if not self._is_away:
                    log.warning("deleted_recordings_not_looked_for", error=problem_of(error))
                self._is_away = True
            await asyncio.sleep(_EVERY_S)
