"""The queues of deliveries in Redis: in order per stream and webhook, tried again until they are given up.

Every step is one script. Routing an event to its webhooks and acknowledging it is one step, and so is noting how an
attempt went and moving on to the next delivery: a crash between two steps loses nothing, and can only repeat an
attempt under the same id. The steps of the leader check its lease (`streams/event_group.py`), and all may be sent
twice. Errors of Redis pass through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from streams.event_group import GROUP, LeadLost
from streams.keys import DEFAULT_PREFIX, Keys
from streams.records import text
from streams.scripts import script_text
from streams.webhook_keys import WebhookKeys
from streams.webhook_model import Delivery, DeliveryState, Webhook, fields_of, read_delivery, read_webhook

PENDING_MAX: Final = 100_000
"""How many deliveries of a webhook may wait; one more goes to the dead ones untried."""

DELIVERED_MAX: Final = 1_000
"""How many delivered ones of a webhook are remembered."""

DEAD_MAX: Final = 10_000
"""How many dead ones of a webhook are remembered."""

SET_ASIDE_MAX: Final = 10_000
"""About how many entries that could not be handled are remembered, of all streams."""

_PURGE_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Routable:
    """An event to route. `body` is what receivers get."""

    entry_id: str
    event_id: str
    env: str
    stream_id: str
    event_type: str
    seq: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """An entry that is no event, and what is wrong with it."""

    entry_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeqBreak:
    """A stream whose events do not follow on each other: those between the two are lost."""

    stream_id: str
    seq_before: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """What came of routing besides deliveries."""

    breaks: Sequence[SeqBreak]
    set_aside: Sequence[Unusable]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How an attempt went. `state` pending: try again at `due_ms`. `disable`: why the receiver wants no more."""

    state: DeliveryState
    now_ms: int
    due_ms: int
    status: int | None = None
    error: str | None = None
    disable: str | None = None


class DeliveryQueue:
    """The leader's side of the queues of all webhooks below one key prefix."""

    def __init__(self, redis: Redis, prefix: str = DEFAULT_PREFIX, *, pending_max: int = PENDING_MAX) -> None:
        self._redis = redis
        self._events = Keys(prefix).events
        self._keys = WebhookKeys(prefix)
        self._first_args = (prefix, pending_max, DELIVERED_MAX, DEAD_MAX)
        self._route = register_queue_script(redis, "webhook_route")
        self._next = register_queue_script(redis, "webhook_next")
        self._finish = register_queue_script(redis, "webhook_finish")
        self._purge = register_queue_script(redis, "webhook_purge")

    async def route(self, holder: str, items: Sequence[Routable | Unusable], *, now_ms: int, give_up_ms: int) -> Routed:
        """Queue events for the webhooks that want them and acknowledge their entries. Raises `LeadLost`."""
        args: list[str | int] = [*self._first_args, holder, GROUP, now_ms, give_up_ms, SET_ASIDE_MAX]
        for item in items:
            if isinstance(item, Unusable):
                args += [item.entry_id, "", "", "", "", "", item.reason]
            else:
                args += [item.entry_id, item.event_id, item.env, item.stream_id, item.event_type, item.seq, item.body]
        keys = [self._keys.lease, self._events, self._keys.set_aside, self._keys.seqs]
        breaks, aside = _led(await self._route(keys=keys, args=args))
        return Routed(
            breaks=[
                SeqBreak(stream_id=text(stream_id), seq_before=int(before), seq=int(seq))
                for stream_id, before, seq in zip(breaks[::3], breaks[1::3], breaks[2::3], strict=True)
            ],
            set_aside=[
                Unusable(entry_id=text(entry_id), reason=text(reason))
                for entry_id, reason in zip(aside[::2], aside[1::2], strict=True)
            ],
        )

    async def busy(self, now_ms: int) -> Sequence[str]:
        """The ids of the webhooks that have something to send now."""
        found: Any = await self._redis.zrangebyscore(self._keys.busy, "-inf", now_ms)
        return [text(webhook_id) for webhook_id in found]

    async def next(
        self, holder: str, webhook_id: str, *, now_ms: int, lanes: int
    ) -> tuple[Webhook, Sequence[Delivery]] | None:
        """A webhook and the first deliveries of at most so many lanes that are due. None when it is gone or paused.

        They stay due until they are finished: the caller knows which of them it is at. Raises `LeadLost`.
        """
        args = (*self._first_args, holder, webhook_id, now_ms, lanes)
        webhook, *deliveries = _led(await self._next(keys=[self._keys.lease], args=args))
        if not webhook:
            return None
        return read_webhook(fields_of(webhook)), [read_delivery(fields_of(flat)) for flat in deliveries]

    async def finish(
        self, holder: str, webhook_id: str, delivery: Delivery, finished: Finished
    ) -> tuple[Webhook, Delivery] | None:
        """Note how an attempt went; what is due next in the same lane, if anything is. Raises `LeadLost`."""
        args = (
            *(*self._first_args, holder, webhook_id, delivery.delivery_id, delivery.attempts, finished.state.value),
            *(finished.now_ms, finished.due_ms, "" if finished.status is None else finished.status),
            *(finished.error or "", finished.disable or ""),
        )
        following = _led(await self._finish(keys=[self._keys.lease], args=args))
        if not following:
            return None
        return read_webhook(fields_of(following[0])), read_delivery(fields_of(following[1]))

    async def purge(self) -> None:
        """Remove some of what deleted webhooks left."""
        found: Any = await self._redis.srandmember(self._keys.purge, 10)
        for webhook_id in found or []:
            args = (*self._first_args, text(webhook_id), _PURGE_BATCH)
            await self._purge(keys=[self._keys.purge], args=args)


def register_queue_script(redis: Redis, name: str) -> AsyncScript:
    """The script `name`, with the shared functions of the queues in front of it."""
    return redis.register_script(script_text("webhook_queue") + "\n" + script_text(name))


def _led(answer: Any) -> Any:
    outcome, *rest = answer
    if text(outcome) == "lost":
        raise LeadLost
    return rest
