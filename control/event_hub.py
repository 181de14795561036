"""The newest events for whoever is connected: one reader of the `events` stream for all clients of a process.

No consumer group: every client sees every event of its environment. A client has a bounded buffer; when it is full the
client is cut, and comes back with the id of the last event that it got.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog

from control.event_payload import event_json
from streams.events import decode_event
from streams.outage import Outage
from streams.records import text
from streams.store import StreamStore

log = structlog.get_logger()

BLOCK_MS: Final = 400
"""How long one question waits for news; below the time that `open_redis` gives a reply."""

PAGE: Final = 500
PAST_PAGE: Final = 50
"""Who reads from far back takes small steps, between which others are served."""
_RETRY_S: Final = 0.5

EntryId = tuple[int, int]


def entry_id(written: str) -> EntryId:
    """An id of a Redis stream entry, to compare; milliseconds alone are the first of theirs. Raises `ValueError`."""
    ms, _, count = written.partition("-")
    return int(ms), int(count or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """Which events a client gets."""

    env: str
    stream_id: str | None = None

    def covers(self, fields: Mapping[Any, Any]) -> bool:
        """Whether it gets the event of these fields of an entry."""
        return _field(fields, "env") == self.env and self.stream_id in (None, _field(fields, "streamId"))


class Subscriber:
    """One client. `abort` cuts its connection."""

    def __init__(self, interest: Interest, buffer_max: int, abort: Callable[[], None]) -> None:
        self.interest = interest
        self.is_over = False  # it was cut, or the server ends
        self._waiting: deque[tuple[EntryId, bytes]] = deque()
        self._buffer_max = buffer_max
        self._abort = abort
        self._news = asyncio.Event()

    def offer(self, at: EntryId, message: bytes) -> bool:
        """Take a message; False when the buffer is full, and the client cut."""
        if len(self._waiting) >= self._buffer_max:
            self.end()
            self._abort()
            return False
        self._waiting.append((at, message))
        self._news.set()
        return True

    def end(self) -> None:
        """There will be no more."""
        self.is_over = True
        self._waiting.clear()
        self._news.set()

    async def take(self, after: EntryId, wait_s: float) -> list[bytes]:
        """The messages of later entries than `after` that are here or come first within `wait_s`; may be none."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._news.wait()
        self._news.clear()
        taken = [message for at, message in self._waiting if at > after]
        self._waiting.clear()
        return taken


class EventHub:
    """Reads from the first client on."""

    def __init__(self, store: StreamStore, *, clients_max: int = 1000, clients_per_env: int = 100) -> None:
        self.clients_max = clients_max
        self.clients_per_env = clients_per_env
        self.position: EntryId = (0, 0)  # of the latest entry that went to the subscribers
        self._store = store
        self._subscribers: set[Subscriber] = set()
        self._task: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    def has_room(self, env: str) -> bool:
        """Whether one more client of an environment may subscribe."""
        of_env = sum(subscriber.interest.env == env for subscriber in self._subscribers)
        return len(self._subscribers) < self.clients_max and of_env < self.clients_per_env

    async def start(self) -> None:
        """Begin to read at the newest entry, unless it is being read already. Raises `RedisError`."""
        async with self._starting:
            if self._task is None or self._task.done():
                newest: Any = await self._store.redis.xrevrange(self._store.keys.events, count=1)
                self.position = entry_id(text(newest[0][0])) if newest else (0, 0)
                self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End all subscriptions and stop."""
        for subscriber in list(self._subscribers):
            subscriber.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    @contextmanager
    def subscribed(self, subscriber: Subscriber) -> Iterator[None]:
        """Offer every event after `position` to a subscriber."""
        self._subscribers.add(subscriber)
        try:
            yield
        finally:
            self._subscribers.discard(subscriber)

    async def past(
        self, interest: Interest, after: EntryId, until: EntryId | None
    ) -> AsyncIterator[tuple[EntryId, list[bytes]]]:
        """Pages of the messages after one entry up to another, or up to the newest; each with its last entry's id."""
        end = "+" if until is None else _written(until)
        while until is None or after < until:
            page: Any = await self._store.redis.xrange(
                self._store.keys.events, f"({_written(after)}", end, count=PAST_PAGE
            )
            if not page:
                return
            after = entry_id(text(page[-1][0]))
            messages = (_message(at, fields) for at, fields in page if interest.covers(fields))
            yield after, [message for message in messages if message is not None]
            if len(page) < PAST_PAGE:
                return

    async def _run(self) -> None:
        outage = Outage("event_hub_waits")
        while True:
            with outage.noted():
                await self._read()
            if outage.is_on:
                # Nothing is missed: the next read goes on after the last entry.
                await asyncio.sleep(_RETRY_S)

    async def _read(self) -> None:
        events = self._store.keys.events
        found: Any = await self._store.redis.xread({events: _written(self.position)}, count=PAGE, block=BLOCK_MS)
        # A list of (name, entries), or a mapping of name to [entries], by the version of the protocol.
        entries = [] if not found else found[0][1] if isinstance(found, list) else next(iter(found.values()))[0]
        for at, fields in entries:
            self._offer(at, fields)

    def _offer(self, at: bytes | str, fields: Mapping[Any, Any]) -> None:
        position = entry_id(text(at))
        interested = [each for each in self._subscribers if not each.is_over and each.interest.covers(fields)]
        message = _message(at, fields) if interested else None
        for subscriber in interested:
            if message is not None and not subscriber.offer(position, message):
                log.warning("event_client_cut", env=subscriber.interest.env, why="it reads too slowly")
        self.position = position


def _message(at: bytes | str, fields: Mapping[Any, Any]) -> bytes | None:
    """An event of the `text/event-stream` format (HTML Living Standard, 9.2.6)."""
    try:
        event = decode_event(fields)
        return f"id: {text(at)}\nevent: {event.type.value}\ndata: {event_json(event)}\n\n".encode()
    except (ValueError, RecursionError) as error:
        log.debug("event_not_understood", entry_id=text(at), error=str(error)[:200])
        return None


def _field(fields: Mapping[Any, Any], name: str) -> str | None:
    value = fields.get(name.encode(), fields.get(name))
    return None if value is None else value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _written(at: EntryId) -> str:
    return f"{at[0]}-{at[1]}"
