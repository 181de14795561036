"""The names of the Redis keys of events and webhooks; the queues of a webhook are named in `lua/webhook_queue.lua`."""

from __future__ import annotations

from dataclasses import dataclass

from streams.keys import DEFAULT_PREFIX


@dataclass(frozen=True, slots=True)
class WebhookKeys:
    """Redis key names below one prefix; see `Keys` for what the prefix must be in a cluster."""

    prefix: str = DEFAULT_PREFIX

    @property
    def lease(self) -> str:
        """String that expires: which process leads, that is, consumes events and delivers them."""
        return f"{self.prefix}events:lease"

    @property
    def set_aside(self) -> str:
        """Stream: entries of `events` that could not be handled, with the reason."""
        return f"{self.prefix}events:dead"

    @property
    def seqs(self) -> str:
        """Hash: the id of every stream to the `seq` of its latest event that was handled."""
        return f"{self.prefix}events:seqs"

    def webhook(self, webhook_id: str) -> str:
        """Hash: one webhook, its signing secret included."""
        return f"{self.prefix}webhook:{webhook_id}"

    def delivery(self, webhook_id: str, delivery_id: str) -> str:
        """Hash: one delivery."""
        return f"{self.webhook(webhook_id)}:delivery:{delivery_id}"

    def deliveries(self, webhook_id: str, state: str) -> str:
        """Sorted set: the ids of the deliveries in one state, by number."""
        return f"{self.webhook(webhook_id)}:{state}"

    def environment_webhooks(self, env: str) -> str:
        """Sorted set: the ids of the webhooks of an environment, by creation time in ms."""
        return f"{self.prefix}env:{env}:webhooks"

    @property
    def busy(self) -> str:
        """Sorted set: the enabled webhooks that have something to send, by the time in ms at which it is due."""
        return f"{self.prefix}webhooks:busy"

    @property
    def purge(self) -> str:
        """Set: deleted webhooks whose queues are still there."""
        return f"{self.prefix}webhooks:purge"
