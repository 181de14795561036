"""`/healthz` and `/readyz`: for load balancers and for whoever restarts processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog
from aiohttp import hdrs, web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from antlive.node import NodeFiles
from streams.problems import problem_of

log = structlog.get_logger()

FREE_MIN_BYTES: Final = 8 << 20
"""Of the media directory's file system: less is gone within seconds."""
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


def of_node(files: NodeFiles, media_dir: Path) -> NotReady:
    """Ready is a node that takes publishers: it does not drain, has room, and a media directory that can be written to.
    Redis is not asked: media go without."""
    said = _Said("media_directory")

    async def not_ready() -> dict[str, str] | None:
        problem = media_dir_problem(media_dir)
        said.say(problem, directory=str(media_dir))
        if problem:
            return {"status": "no_media_directory", "reason": f"the media directory {problem}"}
        if files.draining or files.full:
            return {"status": "draining" if files.draining else "full"}
        return None

    return not_ready


def media_dir_problem(media_dir: Path) -> str:
    """What keeps a session from writing there; empty when nothing does."""
    try:
        system = os.statvfs(media_dir)
    except OSError as error:
        return "is gone" if isinstance(error, FileNotFoundError) else f"can't be used: {error.strerror}"
    if system.f_flag & os.ST_RDONLY:
        return "is on a file system that is read-only"
    if not os.access(media_dir, os.W_OK | os.X_OK):
        return "can't be written to"
    free_bytes = system.f_bavail * system.f_frsize
    if free_bytes < FREE_MIN_BYTES:
        return f"is full: {free_bytes} bytes are free, the least is {FREE_MIN_BYTES}"
    if system.f_files and not system.f_favail:
        return "is full: its file system takes no more files"
    return ""


def of_control(redis: Redis) -> NotReady:
    """Ready is a control plane whose Redis answers and lets it in."""
    said = _Said("redis")

    async def not_ready() -> dict[str, str] | None:
        try:
            async with asyncio.timeout(_PING_S):
                await redis.ping()
        except (RedisError, OSError) as error:
            said.say(problem_of(error))
            return {"status": "no_redis", "reason": problem_of(error, for_anybody=True)}
        said.say("")
        return None

    return not_ready


class _Said:
    """Logs a problem once, however often it is asked for, and its end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._problem = ""

    def say(self, problem: str, **more: str) -> None:
        if bool(problem) != bool(self._problem):
            if problem:
                log.warning("not_ready", what=self._what, error=problem, **more)
            else:
                log.info("ready_again", what=self._what, **more)
        self._problem = problem
