"""How every process connects to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.maint_notifications import MaintNotificationsConfig

from config.redis_url import Kind, parse_redis_url
from streams.primary import Primary

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


_NOT_HERE: Final = (ReadOnlyError, MovedError, AskError, ClusterDownError, TryAgainError)
"""What a server says that is not, or not now, the one that writes our keys."""


class _OfPrimary(_Cancellable):
    """A connection to the server that is the primary when it connects."""

    def __init__(self, *, primary: Primary, **options: Any) -> None:
        super().__init__(**options)
        self._primary = primary

    async def _connect(self) -> None:
        self.host, self.port = await self._primary.find()
        await super()._connect()  # type: ignore[no-untyped-call, safe-super]

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except _NOT_HERE as error:
            # The next try connects anew, to whichever server is the primary then.
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"this server is not the master: {type(error).__name__}") from error


class _TcpOfPrimary(_OfPrimary, Connection):
    pass


class _TlsOfPrimary(_OfPrimary, SSLConnection):
    pass


def open_redis(url: str, *, timeout_s: float = TIMEOUT_S) -> Redis:
    """A client for any URL of `config.redis_url`; connects when first used. Close it with `aclose()`.

    It tries a command twice, at once: pooled connections are dead after Redis was restarted. All that the store writes
    may be sent twice. Any longer patience is the caller's, who knows who waits. Raises `ValueError` for a wrong URL.
    """
    where = parse_redis_url(url)
    pool = BlockingConnectionPool.from_url(
        where.server_url,
        max_connections=CONNECTIONS_MAX,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), retries=1),
        driver_info=None,
        # Of managed servers alone, and refused by connections that speak the older protocol.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    pool.connection_class = plain = _CANCELLABLE[pool.connection_class]
    if where.kind is not Kind.SERVER:
        pool.connection_kwargs["primary"] = Primary(where, plain, pool.connection_kwargs)
        pool.connection_class = _TlsOfPrimary if plain is _TlsConnection else _TcpOfPrimary
    return Redis.from_pool(pool)
