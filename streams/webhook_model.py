"""Webhooks and deliveries as everybody sees them, and how they lie in Redis hashes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from streams.records import text


class DeliveryState(StrEnum):
    """Where a delivery stands: waiting or to be tried again, accepted by the receiver, or given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A receiver of events. Its secret is kept as it is, because every delivery is signed with it."""

    webhook_id: str
    env: str
    url: str
    event_types: tuple[str, ...]  # empty: all
    enabled: bool
    description: str
    created_ms: int
    secret: str = field(repr=False)
    previous_secret: str | None = field(default=None, repr=False)  # signs too, until previous_until_ms
    previous_until_ms: int = 0
    disabled_reason: str | None = None  # set when the receiver, not the owner, disabled it


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one webhook. `delivery_id` is the event's id, and the same at every attempt."""

    delivery_id: str
    number: int  # counts the deliveries of a webhook from 1
    event_type: str
    stream_id: str  # empty for a test event
    seq: int
    lane: str  # deliveries of one lane are sent one after the other
    state: DeliveryState
    body: str
    attempts: int  # in all
    tries: int  # since it was queued, first or again
    created_ms: int
    give_up_ms: int
    last_ms: int | None = None  # of the latest attempt
    next_ms: int | None = None  # set while it waits to be tried again
    status: int | None = None  # of the latest answer, if there was one
    error: str | None = None  # why the latest attempt failed


def webhook_record(webhook: Webhook) -> list[str | int]:
    """The fields and values of a new webhook's hash."""
    return [
        *("id", webhook.webhook_id, "env", webhook.env, "url", webhook.url),
        *("types", joined_types(webhook.event_types), "enabled", int(webhook.enabled)),
        *("description", webhook.description, "created_ms", webhook.created_ms, "secret", webhook.secret),
    ]


def joined_types(event_types: Iterable[str]) -> str:
    """Event types as one text in which the scripts find ` type `."""
    joined = " ".join(event_types)
    return f" {joined} " if joined else ""


def fields_of(flat: Iterable[bytes | str]) -> dict[str, str]:
    """A hash as a script returns it: name, value, name, value, …"""
    items = [text(item) for item in flat]
    return dict(zip(items[::2], items[1::2], strict=True))


def read_webhook(fields: dict[str, str]) -> Webhook:
    """The webhook of a hash. Raises `KeyError` for another hash."""
    return Webhook(
        webhook_id=fields["id"],
        env=fields["env"],
        url=fields["url"],
        event_types=tuple(fields["types"].split()),
        enabled=fields["enabled"] == "1",
        description=fields["description"],
        created_ms=int(fields["created_ms"]),
        secret=fields["secret"],
        previous_secret=fields.get("previous_secret"),
        previous_until_ms=int(fields.get("previous_until_ms", "0")),
        disabled_reason=fields.get("disabled_reason"),
    )


def read_delivery(fields: dict[str, str]) -> Delivery:
    """The delivery of a hash. Raises `KeyError` for another hash."""
    return Delivery(
        delivery_id=fields["id"],
        number=int(fields["number"]),
        event_type=fields["type"],
        stream_id=fields["stream_id"],
        seq=int(fields["seq"]),
        lane=fields.get("lane", ""),
        state=DeliveryState(fields["state"]),
        body=fields["body"],
        attempts=int(fields["attempts"]),
        tries=int(fields["tries"]),
        created_ms=int(fields["created_ms"]),
        give_up_ms=int(fields["give_up_ms"]),
        last_ms=_optional_int(fields.get("last_ms")),
        next_ms=_optional_int(fields.get("next_ms")),
        status=_optional_int(fields.get("status")),
        error=fields.get("error") or None,
    )


def _optional_int(value: str | None) -> int | None:
    return int(value) if value else None
