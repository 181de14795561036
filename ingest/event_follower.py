"""Follows the `events` stream of Redis, for what others do to the sessions that this node hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from streams.events import StreamEvent, decode_event
from streams.outage import Outage
from streams.records import text
from streams.store import StreamStore

log = structlog.get_logger()

BLOCK_MS = 1000
"""How long one question waits for news; below the time that `open_redis` gives a reply."""

_BATCH = 1000
_RETRY_S = 0.5
_RETRY_MAX_S = 5.0


class EventFollower:
    """Calls `on_event` with every event from `start` on, in order. A Redis that goes away is waited for."""

    def __init__(self, store: StreamStore, on_event: Callable[[StreamEvent], None]) -> None:
        self._store = store
        self._on_event = on_event
        self._last_id = "0-0"
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Note the newest event and follow from there. Raises `RedisError`."""
        newest: Any = await self._store.redis.xrevrange(self._store.keys.events, count=1)
        if newest:
            self._last_id = text(newest[0][0])
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop following."""
        # The client may lose a cancellation that comes while it takes a connection: the loop looks here too.
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        retry_s, outage = _RETRY_S, Outage("events_not_followed")
        while not self._closed:
            with outage.noted():
                await self._read()
            if not outage.is_on:
                retry_s = _RETRY_S
                continue
            # Nothing is missed: the next read goes on after the last event that was seen.
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, _RETRY_MAX_S)

    async def _read(self) -> None:
        events = self._store.keys.events
        found: Any = await self._store.redis.xread({events: self._last_id}, count=_BATCH, block=BLOCK_MS)
        # A list of (name, entries), or a mapping of name to [entries], by the version of the protocol.
        entries = [] if not found else found[0][1] if isinstance(found, list) else next(iter(found.values()))[0]
        for entry_id, fields in entries:
            self._last_id = text(entry_id)
            try:
                event = decode_event(fields)
            except ValueError as error:
                log.error("event_not_understood", entry_id=self._last_id, error=str(error))
                continue
            self._on_event(event)
