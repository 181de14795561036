"""The roles of a node, each a process of its own: ingest, web (control + origin), control, origin."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog
import uvloop

from antlive.children import StartFailed
from antlive.embedded_redis import WAIT_S, RedisRefuses, wait_for_redis
from antlive.metrics_page import MetricsPage, serve_metrics
from antlive.node import NodeFiles
from antlive.node_locks import DirectoryBusy, DirectoryUnusable, lock_role
from antlive.running import DEFAULT_REDIS_URL, CannotStart, Running
from antlive.signals import StopSignals
from config.logs import LogStyle, configure_logs
from config.settings import Settings
from streams.connection import open_redis

if TYPE_CHECKING:
    from ingest.forks import Forks

log = structlog.get_logger()

_GLANCE_S = 1.0


def run_role(role: str, settings: Settings, ready_fd: int | None, http_fd: int | None = None) -> int:
    """Run a role until SIGTERM or SIGINT. Writes its actual ports to `ready_fd`, as JSON, once it is ready.

    `http_fd` is the listening socket of a supervisor, which has put the API key into Redis, too.

    Returns the exit code: 1 when the role did not come up. `ready_fd`, or else standard error, then says why.
    """
    configure_logs(role, LogStyle(settings.log_format, settings.log_level))
    try:
        with ExitStack() as locks:
            lock_role(settings, role, NodeFiles(settings.data_dir).node_id, locks)
            forks = _forks() if role == "ingest" else None
            uvloop.run(_run(role, settings, ready_fd, http_fd, forks))
    except (CannotStart, DirectoryBusy, DirectoryUnusable) as error:
        if ready_fd is None:
            print(f"antlive {role}: {error}", file=sys.stderr)
        else:
            _tell(ready_fd, {"error": str(error)})
        return 1
    return 0


def _forks() -> Forks:
    """Before there are threads and an event loop, which can't be forked."""
    from ingest.forks import Forks

    forks = Forks()
    forks.fork_server()
    return forks


async def _run(
    role: str, settings: Settings, ready_fd: int | None, http_fd: int | None, forks: Forks | None = None
) -> None:
    signals = StopSignals((signal.SIGTERM, signal.SIGINT), gently=settings.drain_s > 0)
    if ready_fd is None:  # else the supervisor has looked
        await _look_at_redis(role, settings)
    if role == "ingest":
        from antlive.ingest_role import ingest

        start = ingest(settings, forks)
    elif role == "recorder":
        start = _recorder(settings)
    else:
        from antlive.http_role import http

        start = http(settings, role, http_fd)
    async with start as running:
        log.info("ready", **running.ports)
        if ready_fd is not None:
            _tell(ready_fd, running.ports)
        # What is loaded by now stays: the collector need not look at it any more.
        gc.collect()
        gc.freeze()
        await signals.begun.wait()
        if running.drain is not None and not signals.at_once.is_set():
            running.drain.begin(settings.drain_s)
            await signals.unless_at_once(asyncio.create_task(running.drain.done()))


async def _look_at_redis(role: str, settings: Settings) -> None:
    """What is wrong with Redis is said in one line. Whoever has to do with media alone starts without it, too."""
    needs_it = role in ("ingest", "control")
    try:
        await wait_for_redis(settings.full_redis_url or DEFAULT_REDIS_URL, timeout_s=WAIT_S if needs_it else _GLANCE_S)
    except StartFailed as error:
        if needs_it or isinstance(error, RedisRefuses):
            raise CannotStart(str(error)) from None
        log.warning("starts_without_redis", error=str(error))


def _tell(ready_fd: int, message: dict[str, Any]) -> None:
    # A supervisor that is stopping does not listen any more; its signal follows.
    with suppress(BrokenPipeError), os.fdopen(ready_fd, "w") as pipe:
        pipe.write(json.dumps(message) + "\n")


@asynccontextmanager
async def _recorder(settings: Settings) -> AsyncIterator[Running]:
    from recorder.service import recording

    files = NodeFiles(settings.data_dir)
    redis_url = settings.full_redis_url or DEFAULT_REDIS_URL
    async with AsyncExitStack() as stack:
        metrics = await stack.enter_async_context(recording(settings, files.node_id(), redis_url))
        redis = open_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        page = MetricsPage("recorder", redis)
        page.registry.register(metrics)
        await serve_metrics(stack, page, "recorder", files, settings.effective_media_dir)
        yield Running({})
