"""The roles of a node, each a process of its own: ingest, web (control + origin), control, origin."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
import uvloop
from aiohttp import web

from antlive.logs import configure_logs
from antlive.node import NodeFiles
from config.limits import LIMITS
from config.settings import Settings
from streams.connection import open_redis
from streams.store import StreamStore

log = structlog.get_logger()

HLS_JS_FILE = Path(__file__).parent.parent / "node_modules/hls.js/dist/hls.min.js"
DEFAULT_REDIS_URL = "redis://localhost:6379/0"


def run_role(role: str, settings: Settings, ready_fd: int | None) -> int:
    """Run a role until SIGTERM or SIGINT. Writes its actual ports to `ready_fd`, as JSON, once it is ready."""
    configure_logs(role, settings.log_format, settings.log_level)
    uvloop.run(_run(role, settings, ready_fd))
    return 0


async def _run(role: str, settings: Settings, ready_fd: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    start = _ingest(settings) if role == "ingest" else _http(settings, role)
    async with start as ports:
        log.info("ready", **ports)
        if ready_fd is not None:
            with os.fdopen(ready_fd, "w") as pipe:
                pipe.write(json.dumps(ports) + "\n")
        await stop.wait()


@asynccontextmanager
async def _ingest(settings: Settings) -> AsyncIterator[dict[str, Any]]:
    # Imported here: each role loads only what it runs.
    from ingest.broadcasts import Broadcasts
    from ingest.rtmp.server import RtmpServer
    from ingest.srt.directory import KeyDirectory
    from ingest.srt.directory_follower import DirectoryFollower
    from ingest.srt.server import SrtServer
    from ingest.workers import WorkerPool

    async with AsyncExitStack() as stack:
        redis = open_redis(settings.redis_url or DEFAULT_REDIS_URL)
        stack.push_async_callback(redis.aclose)
        workers = WorkerPool()
        stack.push_async_callback(workers.close)
        await workers.start()
        store = StreamStore(redis, settings.redis_prefix)
        node_id = NodeFiles(settings.data_dir).node_id()
        broadcasts = Broadcasts(store, workers, settings, LIMITS, node_id)
        await broadcasts.recover()
        stack.push_async_callback(broadcasts.close)
        server = RtmpServer(broadcasts, LIMITS)
        stack.push_async_callback(server.close)
        directory = KeyDirectory(node_id, broadcasts.delivering)
        follower = DirectoryFollower(store, directory)
        stack.push_async_callback(follower.close)
        follower.start()
        srt = SrtServer(broadcasts, directory, LIMITS)
        stack.push_async_callback(srt.close)
        yield {
            "rtmp_port": await server.start(settings.bind, settings.rtmp_port),
            "srt_port": await srt.start(
                settings.bind,
                settings.srt_port,
                latency_ms=settings.srt_latency_ms,
                passphrase=settings.srt_passphrase,
            ),
        }


@asynccontextmanager
async def _http(settings: Settings, role: str) -> AsyncIterator[dict[str, Any]]:
    async with AsyncExitStack() as stack:
        # Bound first: the URLs that the API hands out hold the actual port.
        ipv6 = ":" in settings.bind
        listener = socket.create_server(
            (settings.bind, settings.http_port),
            family=socket.AF_INET6 if ipv6 else socket.AF_INET,
            backlog=1024,
            dualstack_ipv6=ipv6,
        )
        stack.callback(listener.close)
        http_port: int = listener.getsockname()[1]
        app = web.Application()
        if role in ("web", "control"):
            redis = open_redis(settings.redis_url or DEFAULT_REDIS_URL, timeout_s=0.7)
            stack.push_async_callback(redis.aclose)
            await _add_control(app, settings, http_port, StreamStore(redis, settings.redis_prefix))
        if role in ("web", "origin"):
            _add_origin(app, settings)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listener).start()
        yield {"http_port": http_port}


async def _add_control(app: web.Application, settings: Settings, http_port: int, store: StreamStore) -> None:
    from control.app import API_PREFIX, create_api
    from control.urls import PublicUrls

    if settings.api_key is not None:
        await store.add_api_key("default", settings.api_key)
    urls = PublicUrls(
        host=settings.public_host, http_port=http_port, rtmp_port=settings.rtmp_port, srt_port=settings.srt_port
    )
    app.add_subapp(API_PREFIX, create_api(store, urls, reconnect_window_s=settings.reconnect_window_s))


def _add_origin(app: web.Application, settings: Settings) -> None:
    from packager.origin import setup_origin
    from packager.player_page import setup_player

    setup_origin(app, settings.effective_media_dir)
    setup_player(app, HLS_JS_FILE)
