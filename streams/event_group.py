"""The consumer group of the `events` stream, read by one leader at a time.

Any number of processes may try to lead; a lease in Redis says which one does, and every read and every write of the
leader checks it within the same script. So a process that lost the lease without knowing can neither take an entry
away nor mark one as done, and the order per stream holds. A leader that crashes is replaced when its lease expires.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from streams.keys import DEFAULT_PREFIX, Keys
from streams.records import text
from streams.scripts import script_text
from streams.webhook_keys import WebhookKeys

GROUP: Final = "control"
CONSUMER: Final = "leader"
LEASE_MS: Final = 6000


class LeadLost(Exception):
    """Another process leads now, or none does: this one must stop at once."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the stream, not yet looked into."""

    entry_id: str
    fields: Mapping[bytes | str, bytes | str]


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read. `trimmed` are ids of entries that went before they were handled: their events are lost."""

    entries: Sequence[Entry]
    trimmed: Sequence[str]


class EventGroup:
    """One process's part in the group. Errors of Redis pass through."""

    def __init__(self, redis: Redis, prefix: str = DEFAULT_PREFIX, *, lease_ms: int = LEASE_MS) -> None:
        self.holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.lease_ms = lease_ms
        self._redis = redis
        self._events = Keys(prefix).events
        self._lease = WebhookKeys(prefix).lease
        self._lead = redis.register_script(script_text("event_lead"))
        self._resign = redis.register_script(script_text("event_resign"))
        self._read = redis.register_script(script_text("event_read"))

    async def take_lead(self) -> bool:
        """Lead, or go on leading, for another `lease_ms`. False when another process leads."""
        return bool(await self._lead(keys=[self._lease], args=[self.holder, self.lease_ms]))

    async def resign(self) -> None:
        """Stop leading, so that another need not wait for the lease to expire."""
        await self._resign(keys=[self._lease], args=[self.holder])

    async def read(self, count: int) -> Batch:
        """At most `count` entries that are not acknowledged, oldest first; empty when there are none.

        Raises `LeadLost`.
        """
        try:
            answer = await self._ask(count)
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self._create_group()
            answer = await self._ask(count)
        if text(answer[0]) == "lost":
            raise LeadLost
        entries = [Entry(text(entry_id), _fields(flat)) for entry_id, flat in answer[1] if flat]
        return Batch(entries, [text(entry_id) for entry_id in answer[2]])

    async def wait(self, block_ms: int) -> None:
        """Return once there is an entry that the group has not read, at the latest after `block_ms`."""
        groups: Any = await self._redis.xinfo_groups(self._events)
        last_id = next((group["last-delivered-id"] for group in groups if text(group["name"]) == GROUP), "0-0")
        await self._redis.xread({self._events: last_id}, count=1, block=block_ms)

    async def _ask(self, count: int) -> Any:
        return await self._read(keys=[self._lease, self._events], args=[self.holder, GROUP, CONSUMER, count])

    async def _create_group(self) -> None:
        try:
            # From the first entry: what happened before the first leader came is delivered too.
            await self._redis.xgroup_create(self._events, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


def _fields(flat: Sequence[bytes | str]) -> dict[bytes | str, bytes | str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
