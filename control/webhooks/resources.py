"""Webhooks and deliveries of the store as the API shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from control.webhooks.schemas import DeliveryCounts, DeliveryResource, DeliveryWithPayload, WebhookResource
from streams.webhook_model import Delivery, DeliveryState, Webhook


def time_of(at_ms: int) -> datetime:
    """A time in ms since 1970."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def webhook_fields(webhook: Webhook, counts: Mapping[DeliveryState, int]) -> dict[str, Any]:
    """The fields of a webhook, without its secret."""
    return {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "event_types": list(webhook.event_types),
        "enabled": webhook.enabled,
        "disabled_reason": webhook.disabled_reason,
        "description": webhook.description,
        "created_at": time_of(webhook.created_ms),
        "deliveries": DeliveryCounts(**{state.value: counts[state] for state in DeliveryState}),
    }


def webhook_resource(webhook: Webhook, counts: Mapping[DeliveryState, int]) -> WebhookResource:
    """The webhook object."""
    return WebhookResource(**webhook_fields(webhook, counts))


def delivery_resource(delivery: Delivery) -> DeliveryResource:
    """The delivery object."""
    return DeliveryResource(**_delivery_fields(delivery))


def delivery_with_payload(delivery: Delivery) -> DeliveryWithPayload:
    """The delivery object with the payload."""
    return DeliveryWithPayload(**_delivery_fields(delivery), payload=json.loads(delivery.body))


def _delivery_fields(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery_id": delivery.delivery_id,
        "number": delivery.number,
        "type": delivery.event_type,
        "stream_id": delivery.stream_id,
        "seq": delivery.seq,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "created_at": time_of(delivery.created_ms),
        "last_attempt_at": None if delivery.last_ms is None else time_of(delivery.last_ms),
        "next_attempt_at": None if delivery.next_ms is None else time_of(delivery.next_ms),
        "status_code": delivery.status,
        "error": delivery.error,
    }
