"""`/healthz` and `/readyz`: for load balancers and for whoever restarts processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import hdrs, web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from antlive.node import NodeFiles
from streams.problems import LOGIN_REFUSED, problem_of

log = structlog.get_logger()

_PING_S: Final = 0.5
_HEADERS: Final = {hdrs.CACHE_CONTROL: "no-store"}

NotReady = Callable[[], Awaitable[dict[str, str] | None]]
"""What keeps a process from being ready, as the body of the answer; None when nothing does."""


def add_probes(app: web.Application, not_ready: NotReady) -> None:
    """Healthy is a process that answers; what ready is depends on what it does."""

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"}, headers=_HEADERS)

    async def readyz(request: web.Request) -> web.Response:
        problem = await not_ready()
        if problem is not None:
            return web.json_response(problem, status=503, headers=_HEADERS)
        return web.json_response({"status": "ready"}, headers=_HEADERS)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)


def of_node(files: NodeFiles) -> NotReady:
    """Ready is a node that takes publishers: it does not drain, and has room. Redis is not asked: media go without."""

    async def not_ready() -> dict[str, str] | None:
        if files.draining or files.full:
            return {"status": "draining" if files.draining else "full"}
        return None

    return not_ready


def of_control(redis: Redis) -> NotReady:
    """Ready is a control plane that Redis has let in. One that Redis leaves later stays ready, and answers 503 to each
    request: it is so for all of them at once, and passes."""
    was_in, said = False, ""

    async def not_ready() -> dict[str, str] | None:
        nonlocal was_in, said
        try:
            async with asyncio.timeout(_PING_S):
                await redis.ping()
        except (RedisError, OSError) as error:
            if was_in and not isinstance(error, LOGIN_REFUSED):
                return None
            problem = problem_of(error)
            if problem != said:
                log.warning("control_not_ready", error=problem)
                said = problem
            return {"status": "no_redis", "reason": problem_of(error, for_anybody=True)}
        was_in = True
        return None

    return not_ready
