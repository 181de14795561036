"""A session's state transitions on their way to Redis: in order, and kept while Redis is away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from redis.exceptions import RedisError

from streams.errors import StaleSession
from streams.ids import new_event_id
from streams.problems import problem_of
from streams.state import SESSION_STATES, Event, IllegalTransition
from streams.store import StreamStore
from streams.times import utc_now

log = structlog.get_logger()

_RETRY_S = 0.5
_RETRY_MAX_S = 5.0


@dataclass(frozen=True, slots=True)
class _Item:
    event: Event
    reason: str | None
    data: dict[str, Any] | None
    at: datetime
    event_id: str  # the same on every try, so that a reply lost on its way doubles nothing


class Transitions:
    """Applies the events of one session, one after the other, from a task of its own."""

    def __init__(self, store: StreamStore, stream_id: str, session_id: str, epoch: int) -> None:
        self._store = store
        self._stream_id = stream_id
        self._session_id = session_id
        self._epoch = epoch
        self._queue: asyncio.Queue[_Item | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def submit(self, event: Event, *, reason: str | None = None, data: dict[str, Any] | None = None) -> None:
        """Queue a transition that happens now."""
        self._queue.put_nowait(_Item(event, reason, data, utc_now(), new_event_id()))

    @property
    def waiting(self) -> int:
        """How many are not applied yet, but for the one that is under way."""
        return self._queue.qsize()

    async def idle(self) -> None:
        """Return once everything queued so far is applied or refused."""
        await self._queue.join()

    async def close(self) -> None:
        """Apply what is queued, then stop. Idempotent."""
        if self._task.done():
            return
        self._queue.put_nowait(None)
        await self._task

    async def _run(self) -> None:
        while (item := await self._queue.get()) is not None:
            await self._apply(item)
            self._queue.task_done()
        self._queue.task_done()

    async def _apply(self, item: _Item) -> None:
        retry_s = _RETRY_S
        where = {"stream_id": self._stream_id, "session_id": self._session_id, "transition": item.event.value}
        while True:
            try:
                await self._store.apply(
                    self._stream_id,
                    item.event,
                    session_id=self._session_id,
                    epoch=self._epoch,
                    reason=item.reason,
                    data=item.data,
                    at=item.at,
                    event_id=item.event_id,
                )
                return
            except (StaleSession, IllegalTransition) as error:
                # A session that the API has ended, or another node has gone on with, hears of it a moment later.
                is_over = isinstance(error, StaleSession) or error.state not in SESSION_STATES
                write = log.info if is_over else log.error
                write("transition_refused", **where, error=str(error))
                return
            except (RedisError, OSError) as error:
                log.warning("transition_delayed", **where, error=problem_of(error), retry_s=retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, _RETRY_MAX_S)
