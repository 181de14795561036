"""Says every few seconds how many players this origin counts of each stream, for the API of any node."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import structlog
from redis.exceptions import RedisError

from packager.viewers import Viewers
from streams.problems import problem_of
from streams.viewers import WRITTEN_EVERY_S, ViewerCounts

log = structlog.get_logger()


class ViewerReports:
    """Writes the counts of one process. What can't be written now is told by the next report."""

    def __init__(self, viewers: Viewers, counts: ViewerCounts, who: str, every_s: float = WRITTEN_EVERY_S) -> None:
        self._viewers = viewers
        self._counts = counts
        self._who = who
        self._every_s = every_s
        self._told: Mapping[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write no more: what was written is forgotten by itself."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def report(self) -> None:
        """Write what is counted now; 0 where nobody is left."""
        now = self._viewers.by_stream()
        counts = {**dict.fromkeys(self._told, 0), **now}
        try:
            await self._counts.write(self._who, counts)
        except (RedisError, OSError) as error:
            log.debug("viewers_not_written", error=problem_of(error))
        else:
            self._told = now

    async def _run(self) -> None:
        while True:
            await self.report()
            await asyncio.sleep(self._every_s)
