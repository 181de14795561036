"""The webhooks in Redis: create, list, get, update, rotate the secret, delete; and their deliveries as lists.

Secrets are stored as they are: each signs every delivery of its webhook, so a hash would not do. They are no stream
keys, and open nothing but the receiver's trust in what comes from here. All calls may be sent twice. Errors of Redis
pass through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from streams.keys import DEFAULT_PREFIX
from streams.records import text
from streams.scripts import script_text
from streams.webhook_keys import WebhookKeys
from streams.webhook_model import (
    Delivery,
    DeliveryState,
    Webhook,
    fields_of,
    joined_types,
    read_delivery,
    read_webhook,
    webhook_record,
)
from streams.webhook_queue import DEAD_MAX, DELIVERED_MAX, PENDING_MAX, register_queue_script

WEBHOOKS_MAX: Final = 20
"""How many webhooks an environment may have: each event is written once for each."""


class WebhookNotFound(Exception):
    """The environment has no such webhook, or the webhook no such delivery."""


class WebhooksFull(Exception):
    """The environment has as many webhooks as it may have."""


class WebhookDisabled(Exception):
    """The webhook is disabled, so nothing is sent."""


class DeliveryPending(Exception):
    """The delivery is not settled yet."""


class QueueFull(Exception):
    """The webhook has as many pending deliveries as it may have."""


_REFUSALS: Final[Mapping[str, type[Exception]]] = {
    "missing": WebhookNotFound,
    "disabled": WebhookDisabled,
    "pending": DeliveryPending,
    "full": QueueFull,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPage:
    """A page of deliveries, newest first."""

    deliveries: Sequence[Delivery]
    total: int
    has_more: bool


class WebhookStore:
    """Webhooks and their deliveries below one key prefix, as their owners see them."""

    def __init__(self, redis: Redis, prefix: str = DEFAULT_PREFIX) -> None:
        self._redis = redis
        self._keys = WebhookKeys(prefix)
        self._first_args = (prefix, PENDING_MAX, DELIVERED_MAX, DEAD_MAX)
        self._create = redis.register_script(script_text("webhook_create"))
        self._rotate = redis.register_script(script_text("webhook_rotate"))
        self._update = register_queue_script(redis, "webhook_update")
        self._delete = register_queue_script(redis, "webhook_delete")
        self._send = register_queue_script(redis, "webhook_send")
        self._redeliver = register_queue_script(redis, "webhook_redeliver")

    async def add(self, webhook: Webhook) -> None:
        """Add a webhook. Raises `WebhooksFull`."""
        keys = [self._keys.webhook(webhook.webhook_id), self._keys.environment_webhooks(webhook.env)]
        args = [webhook.webhook_id, webhook.created_ms, WEBHOOKS_MAX, *webhook_record(webhook)]
        if not await self._create(keys=keys, args=args):
            raise WebhooksFull(f"environment {webhook.env} has {WEBHOOKS_MAX} webhooks already")

    async def list(self, env: str) -> Sequence[Webhook]:
        """The webhooks of an environment, oldest first."""
        found: Any = await self._redis.zrange(self._keys.environment_webhooks(env), 0, -1)
        async with self._redis.pipeline(transaction=False) as pipe:
            for webhook_id in found:
                pipe.hgetall(self._keys.webhook(text(webhook_id)))
            return [_webhook(record) for record in await pipe.execute() if record]

    async def get(self, env: str, webhook_id: str) -> Webhook:
        """Raises `WebhookNotFound`."""
        record = await self._redis.hgetall(self._keys.webhook(webhook_id))
        # What is left of a webhook that was deleted is no webhook.
        if not record or text(record.get(b"env") or record.get("env") or "") != env:
            raise WebhookNotFound(webhook_id)
        return _webhook(record)

    async def update(
        self,
        env: str,
        webhook_id: str,
        *,
        url: str | None = None,
        event_types: Sequence[str] | None = None,
        enabled: bool | None = None,
        description: str | None = None,
    ) -> Webhook:
        """Set what is given. Raises `WebhookNotFound`."""
        values = {
            "url": url,
            "types": None if event_types is None else joined_types(event_types),
            "enabled": None if enabled is None else int(enabled),
            "description": description,
        }
        fields = [item for name, value in values.items() if value is not None for item in (name, value)]
        if not await self._update(keys=[], args=(*self._first_args, webhook_id, env, *fields)):
            raise WebhookNotFound(webhook_id)
        return await self.get(env, webhook_id)

    async def rotate(self, env: str, webhook_id: str, secret: str, *, previous_until_ms: int) -> Webhook:
        """A new secret; the one before signs beside it until then. Raises `WebhookNotFound`."""
        keys = [self._keys.webhook(webhook_id)]
        if not await self._rotate(keys=keys, args=[env, secret, previous_until_ms]):
            raise WebhookNotFound(webhook_id)
        return await self.get(env, webhook_id)

    async def delete(self, env: str, webhook_id: str) -> None:
        """Delete a webhook with all its deliveries. Raises `WebhookNotFound`."""
        if not await self._delete(keys=[self._keys.purge], args=(*self._first_args, webhook_id, env)):
            raise WebhookNotFound(webhook_id)

    async def send(
        self, env: str, webhook_id: str, *, event_id: str, event_type: str, body: str, now_ms: int, give_up_ms: int
    ) -> Delivery:
        """Queue one event for one webhook. Raises `WebhookNotFound`, `WebhookDisabled`."""
        args = (
            *self._first_args,
            *(webhook_id, env, now_ms, give_up_ms, event_id, f"one:{event_id}", event_type, body),
        )
        return _delivery_or_refusal(await self._send(keys=[], args=args), webhook_id)

    async def redeliver(self, env: str, webhook_id: str, delivery_id: str, *, now_ms: int, give_up_ms: int) -> Delivery:
        """Queue a settled delivery again. Raises `WebhookNotFound`, `WebhookDisabled`, `DeliveryPending`,
        `QueueFull`."""
        args = (*self._first_args, webhook_id, env, delivery_id, now_ms, give_up_ms)
        return _delivery_or_refusal(await self._redeliver(keys=[], args=args), delivery_id)

    async def delivery(self, env: str, webhook_id: str, delivery_id: str) -> Delivery:
        """Raises `WebhookNotFound`."""
        await self.get(env, webhook_id)
        record = await self._redis.hgetall(self._keys.delivery(webhook_id, delivery_id))
        if not record:
            raise WebhookNotFound(delivery_id)
        return _delivery(record)

    async def deliveries(
        self, env: str, webhook_id: str, *, state: DeliveryState | None, limit: int, below: int | None
    ) -> DeliveryPage:
        """At most `limit` deliveries, newest first, of those with a lower number than `below`.

        Raises `WebhookNotFound`.
        """
        await self.get(env, webhook_id)
        states = [state] if state is not None else list(DeliveryState)
        indexes = [self._keys.deliveries(webhook_id, each.value) for each in states]
        highest = "+inf" if below is None else f"({below}"
        async with self._redis.pipeline(transaction=True) as pipe:
            for index in indexes:
                pipe.zcard(index)
                # One more than asked tells whether there is a next page.
                pipe.zrange(index, highest, "-inf", desc=True, byscore=True, offset=0, num=limit + 1, withscores=True)
            answers = await pipe.execute()
        found = sorted((pair for pairs in answers[1::2] for pair in pairs), key=lambda pair: -pair[1])
        async with self._redis.pipeline(transaction=False) as pipe:
            for delivery_id, _ in found[:limit]:
                pipe.hgetall(self._keys.delivery(webhook_id, text(delivery_id)))
            records = await pipe.execute()
        # One that was forgotten since the first look is left out.
        deliveries = [_delivery(record) for record in records if record]
        return DeliveryPage(deliveries=deliveries, total=sum(answers[::2]), has_more=len(found) > limit)

    async def counts(self, webhook_ids: Sequence[str]) -> Sequence[Mapping[DeliveryState, int]]:
        """How many deliveries each of the webhooks has by state."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for webhook_id in webhook_ids:
                for state in DeliveryState:
                    pipe.zcard(self._keys.deliveries(webhook_id, state.value))
            sizes = await pipe.execute()
        width = len(DeliveryState)
        return [
            dict(zip(DeliveryState, sizes[start : start + width], strict=True)) for start in range(0, len(sizes), width)
        ]


def _flat(record: Mapping[Any, Any]) -> list[bytes | str]:
    return [item for pair in record.items() for item in pair]


def _webhook(record: Mapping[Any, Any]) -> Webhook:
    return read_webhook(fields_of(_flat(record)))


def _delivery(record: Mapping[Any, Any]) -> Delivery:
    return read_delivery(fields_of(_flat(record)))


def _delivery_or_refusal(answer: Any, what: str) -> Delivery:
    outcome, *rest = answer
    refusal = _REFUSALS.get(text(outcome))
    if refusal is not None:
        raise refusal(what)
    return read_delivery(fields_of(rest[0]))
