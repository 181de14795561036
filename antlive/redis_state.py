"""Whether Redis answers, asked every few seconds, so that whoever wants to know need not wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from redis.exceptions import RedisError

from config.families import gauges

EVERY_S: Final = 5.0
_PING_S: Final = 0.5


class RedisState(Collector):
    """Redis as this process sees it, which has this role: `is_up` is None until the first answer is there, or late."""

    def __init__(self, role: str, redis: Redis, every_s: float = EVERY_S) -> None:
        self._role = role
        self._redis = redis
        self._every_s = every_s
        self.is_up: bool | None = None
        self._took_s = 0.0

    async def kept(self, app: web.Application) -> AsyncIterator[None]:
        """A context in which it is kept up to date."""
        task = asyncio.create_task(self._run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(self._every_s)

    async def _look(self) -> None:
        begun_s = time.monotonic()
        try:
            async with asyncio.timeout(_PING_S):
                await self._redis.ping()
            self.is_up = True
        except (RedisError, OSError):  # a timeout is an OSError
            self.is_up = False
        self._took_s = time.monotonic() - begun_s

    def describe(self) -> list[Metric]:
        """None in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        known = self.is_up is not None
        labels, role = ("role",), self._role
        up, took_s = ({role: int(self.is_up or False)}, {role: self._took_s}) if known else ({}, {})
        yield gauges("redis_up", "1 if Redis answers", labels, up)
        yield gauges("redis_ping_seconds", "how long Redis took to answer", labels, took_s)
