"""How every process connects to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

TIMEOUT_S = 2.0
"""How long a connect or a reply may take."""

CONNECTIONS_MAX = 64
"""How many connections one client opens; whoever needs one more waits for one, as long as for a reply."""


class _Cancellable(AbstractConnection):
    """Sends with `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes as it ends: the task
    would go on as if nobody had told it to stop."""

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        await super().send_packed_command(command, check_health)
        if task is not None and task.cancelling() > before:
            await self.disconnect(nowait=True)  # nobody will read the reply
            raise asyncio.CancelledError


class _TcpConnection(_Cancellable, Connection):
    pass


class _TlsConnection(_Cancellable, SSLConnection):
    pass


class _UnixConnection(_Cancellable, UnixDomainSocketConnection):
    pass


_CANCELLABLE: Final[dict[type[AbstractConnection], type[_Cancellable]]] = {
    Connection: _TcpConnection,
    SSLConnection: _TlsConnection,
    UnixDomainSocketConnection: _UnixConnection,
}


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
    pool.connection_class = _CANCELLABLE[pool.connection_class]
    return Redis.from_pool(pool)
