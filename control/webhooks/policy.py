"""What this installation allows of webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from config.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPolicy:
    """By default: only https, only public addresses, and deliveries are tried again for a day."""

    allow_http: bool = False
    allow_private: bool = False
    retry_horizon_s: float = 86400.0

    @property
    def retry_horizon_ms(self) -> int:
        """The same in milliseconds."""
        return round(self.retry_horizon_s * 1000)


POLICY: Final = web.AppKey("webhook_policy", WebhookPolicy)


def webhook_policy(settings: Settings) -> WebhookPolicy:
    """The policy that the settings say."""
    return WebhookPolicy(
        allow_http=settings.webhook_allow_http,
        allow_private=settings.webhook_allow_private,
        retry_horizon_s=settings.webhook_retry_horizon_s,
    )
