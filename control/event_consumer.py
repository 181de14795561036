"""Consumes the `events` stream: every event goes, once and in order, into the queues of the webhooks that want it.

What can't be understood is set aside into the stream `events:dead`, logged and counted, and holds up nothing. A break
in the numbering of a stream's events (the `events` stream is bounded, so a consumer that was away for long may have
lost the oldest) is logged and counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from control.event_payload import event_json
from streams.event_group import Entry, EventGroup
from streams.events import decode_event
from streams.webhook_queue import DeliveryQueue, Routable, Unusable

log = structlog.get_logger()

BATCH: Final = 100
BLOCK_MS: Final = 1000
"""How long one question waits for news; below the time that `open_redis` gives a reply."""


def wall_clock_ms() -> int:
    """The time of day in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class ConsumerCounts:
    """What a consumer has done since the process started."""

    handled: int = 0
    set_aside: int = 0
    breaks: int = 0
    trimmed: int = 0
    lag_ms: int = 0  # from the latest event's entry to its being queued


class EventConsumer:
    """The consumer of the process that leads."""

    def __init__(
        self,
        group: EventGroup,
        queue: DeliveryQueue,
        *,
        retry_horizon_ms: int,
        on_routed: Callable[[], None],
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.counts = ConsumerCounts()
        self._group = group
        self._queue = queue
        self._retry_horizon_ms = retry_horizon_ms
        self._on_routed = on_routed
        self._clock_ms = clock_ms

    async def run(self) -> None:
        """Consume until cancelled. Raises `LeadLost`, and errors of Redis; what was not acknowledged is read again."""
        while True:
            if not await self.step():
                await self._group.wait(BLOCK_MS)

    async def step(self) -> bool:
        """Handle the next entries; False when there were none."""
        batch = await self._group.read(BATCH)
        if batch.trimmed:
            self.counts.trimmed += len(batch.trimmed)
            log.error("events_lost", why="trimmed before they were handled", entry_ids=list(batch.trimmed)[:20])
        if not batch.entries:
            return bool(batch.trimmed)
        items = [decoded(entry) for entry in batch.entries]
        now_ms = self._clock_ms()
        routed = await self._queue.route(
            self._group.holder, items, now_ms=now_ms, give_up_ms=now_ms + self._retry_horizon_ms
        )
        for broken in routed.breaks:
            log.error(
                "event_numbering_broken", stream_id=broken.stream_id, seq_before=broken.seq_before, seq=broken.seq
            )
        for unusable in routed.set_aside:
            log.error("event_set_aside", entry_id=unusable.entry_id, reason=unusable.reason)
        self.counts.handled += len(items) - len(routed.set_aside)
        self.counts.set_aside += len(routed.set_aside)
        self.counts.breaks += len(routed.breaks)
        self.counts.lag_ms = max(0, now_ms - int(items[-1].entry_id.split("-")[0]))
        self._on_routed()
        await asyncio.sleep(0)
        return True


def decoded(entry: Entry) -> Routable | Unusable:
    """What there is to route in an entry."""
    try:
        event = decode_event(entry.fields)
        if not isinstance(event.data, dict):
            raise ValueError(f"data is {type(event.data).__name__}, not an object")
        if event.seq < 1:
            raise ValueError(f"seq is {event.seq}; the least is 1")
        body = event_json(event)
    except (ValueError, RecursionError) as error:
        return Unusable(entry_id=entry.entry_id, reason=f"{type(error).__name__}: {error}"[:500])
    return Routable(
        entry_id=entry.entry_id,
        event_id=event.id,
        env=event.env,
        stream_id=event.stream_id,
        event_type=event.type.value,
        seq=event.seq,
        body=body,
    )
