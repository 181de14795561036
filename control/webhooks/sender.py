"""One attempt: a signed POST, and what became of it as a value, whatever the receiver did."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientSSLError,
)
from yarl import URL

from control.webhooks.connector import AddressRefused
from control.webhooks.policy import WebhookPolicy
from control.webhooks.signing import signed_headers
from control.webhooks.url_policy import UrlRefused, check_url
from streams.webhook_model import Delivery, Webhook

log = structlog.get_logger()

RESPONSE_MAX_BYTES: Final = 64 * 1024
BODY_TIMEOUT_S: Final = 1.0
RETRY_AFTER_MAX_S: Final = 3600
_GONE: Final = 410
_ASKS_TO_WAIT: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What became of an attempt. `error` is None when the receiver accepted the delivery, that is, answered 2xx."""

    status: int | None = None  # None when there was no answer
    error: str | None = None
    retry_after_s: float = 0.0  # how long the receiver asks to be left alone

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more deliveries (410)."""
        return self.status == _GONE


class Sender:
    """Makes attempts with one client session."""

    def __init__(self, session: ClientSession, policy: WebhookPolicy, clock_ms: Callable[[], int]) -> None:
        self._session = session
        self._policy = policy
        self._clock_ms = clock_ms

    async def send(self, webhook: Webhook, delivery: Delivery) -> Attempt:
        """Make one attempt. Raises nothing but cancellation: a receiver can fail its own deliveries only."""
        try:
            return await self._send(webhook, delivery)
        except TimeoutError:
            return Attempt(error="no complete answer in time")
        except (ClientError, OSError, ValueError) as error:
            return Attempt(error=_complaint(error))
        except Exception as error:
            log.exception("webhook_attempt_failed", webhook_id=webhook.webhook_id, delivery_id=delivery.delivery_id)
            return Attempt(error=f"the attempt failed ({type(error).__name__})")

    async def _send(self, webhook: Webhook, delivery: Delivery) -> Attempt:
        check_url(webhook.url, self._policy)  # the settings may have changed since it was set
        now_ms, body = self._clock_ms(), delivery.body.encode()
        headers = signed_headers(_secrets(webhook, now_ms), delivery.delivery_id, now_ms // 1000, body)
        headers["Content-Type"] = "application/json"
        headers["antlive-delivery-number"] = str(delivery.number)
        headers["antlive-delivery-attempt"] = str(delivery.attempts + 1)
        url = URL(webhook.url, encoded=True)
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            await _drain(response)
            return _attempt(response)


async def _drain(response: ClientResponse) -> None:
    """Read the body to its end, so that the connection can be used again; one that says too much is closed."""
    size_bytes = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in response.content.iter_any():
                size_bytes += len(chunk)
                if size_bytes > RESPONSE_MAX_BYTES:
                    break
    except (TimeoutError, ClientError) as error:
        # The status has been said; what is wrong with the body changes nothing about it.
        log.debug("webhook_answer_cut", error=type(error).__name__, size_bytes=size_bytes)
    if not response.content.at_eof():
        response.close()


def _secrets(webhook: Webhook, now_ms: int) -> list[str]:
    is_honoured = webhook.previous_secret is not None and now_ms < webhook.previous_until_ms
    return [webhook.secret] + ([webhook.previous_secret] if is_honoured and webhook.previous_secret else [])


def _attempt(response: ClientResponse) -> Attempt:
    status = response.status
    if 200 <= status < 300:
        return Attempt(status=status)
    hint = "; redirects are not followed" if 300 <= status < 400 else ""
    wait_s = _retry_after_s(response) if status in _ASKS_TO_WAIT else 0.0
    return Attempt(status=status, error=f"the receiver answered {status}{hint}", retry_after_s=wait_s)


def _retry_after_s(response: ClientResponse) -> float:
    value = response.headers.get("Retry-After", "").strip()
    is_seconds = value.isascii() and value.isdigit() and len(value) < 10
    return float(min(int(value), RETRY_AFTER_MAX_S)) if is_seconds else 0.0


def _complaint(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefused):
            return str(cause.strerror)
        if isinstance(cause, UrlRefused):
            return str(cause)
        cause = cause.__cause__ or getattr(cause, "os_error", None)
    if isinstance(error, ClientConnectorDNSError):
        return "the host name does not resolve"
    if isinstance(error, ClientSSLError):
        return f"TLS failed ({type(error).__name__})"
    if isinstance(error, ClientConnectorError):
        # The event loop puts words of its own in front of the system's.
        number = error.os_error.errno
        return f"can't connect: {os.strerror(number) if number else type(error.os_error).__name__}"
    return f"the connection failed ({type(error).__name__})"
