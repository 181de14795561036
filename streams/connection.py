"""How every process connects to Redis."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

TIMEOUT_S = 2.0
"""How long a connect or a reply may take."""


def open_redis(url: str, *, timeout_s: float = TIMEOUT_S) -> Redis:
    """A client for a `redis://`, `rediss://` or `unix://` URL; connects when first used. Close it with `aclose()`.

    It tries a command twice, at once: pooled connections are dead after Redis was restarted. All that the store writes
    may be sent twice. Any longer patience is the caller's, who knows who waits. Raises `ValueError` for a wrong URL.
    """
    return Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), retries=1)
    )
