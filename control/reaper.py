"""Ends the sessions of nodes that are gone, once their windows are over. Every control process may do it at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import web

from streams.connection import open_redis
from streams.keys import Keys
from streams.nodes import HEARTBEAT_S, LEASE_S, NodeRegistry
from streams.outage import Outage

log = structlog.get_logger()

_ROUND_S: Final = HEARTBEAT_S


class Reaper:
    """Looks every two seconds. A node counts as gone when it has been missing for a whole lease while Redis answered:
    after a Redis outage every node is missing, until its next heartbeat."""

    def __init__(self, registry: NodeRegistry) -> None:
        self._registry = registry
        self._missing_since_s: dict[str, float] = {}

    async def run(self) -> None:
        """Run until cancelled. That Redis is away is said once, until it is back."""
        outage = Outage("reaper_waits")
        while True:
            with outage.noted():
                await self.look(time.monotonic())
            if outage.is_on:
                self._missing_since_s.clear()
            await asyncio.sleep(_ROUND_S)

    async def look(self, now_s: float) -> None:
        """One look at all nodes."""
        missing = await self._registry.missing_hosts()
        self._missing_since_s = {node_id: self._missing_since_s.get(node_id, now_s) for node_id in missing}
        for node_id, since_s in self._missing_since_s.items():
            if now_s - since_s >= LEASE_S:
                await self._registry.reap(node_id, missing[node_id])


def add_reaper(app: web.Application, redis_url: str, prefix: str) -> None:
    """Run a `Reaper` as long as the application."""

    async def run(app: web.Application) -> AsyncIterator[None]:
        redis = open_redis(redis_url)
        task = asyncio.create_task(Reaper(NodeRegistry(redis, Keys(prefix))).run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await redis.aclose()

    app.cleanup_ctx.append(run)
