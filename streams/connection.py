"""How every process connects to Redis."""

from __future__ import annotations

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

TIMEOUT_S = 2.0
"""How long a connect or a reply may take."""

CONNECTIONS_MAX = 64
"""How many connections one client opens; whoever needs one more waits for one, as long as for a reply."""


def open_redis(url: str, *, timeout_s: float = TIMEOUT_S) -> Redis:
    """A client for a `redis://`, `rediss://` or `unix://` URL; connects when first used. Close it with `aclose()`.

    It tries a command twice, at once: pooled connections are dead after Redis was restarted. All that the store writes
    may be sent twice. Any longer patience is the caller's, who knows who waits. Raises `ValueError` for a wrong URL.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS_MAX,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), retries=1),
    )
    return Redis.from_pool(pool)
