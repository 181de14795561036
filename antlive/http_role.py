"""The roles that answer HTTP: control, origin, and web, which is both."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from aiohttp import web

from antlive.listener import listen_http
from antlive.metrics_page import MetricsPage
from antlive.node import NodeFiles
from antlive.probes import add_probes, of_control, of_node
from antlive.request_meter import LOGGER, RequestMeter
from antlive.response_headers import add_response_headers
from antlive.running import DEFAULT_REDIS_URL, Running, asking_redis, listening
from antlive.viewer_reports import ViewerReports
from config.settings import Settings
from streams.api_keys import DEFAULT_ENVIRONMENT
from streams.connection import open_redis
from streams.keys import Keys
from streams.store import StreamStore

HLS_JS_FILE = Path(__file__).parent.parent / "node_modules/hls.js/dist/hls.min.js"
IDLE_S = 75.0
"""How long a connection is kept without a whole request; more than a proxy in front keeps an idle one (nginx: 60)."""
STALLED_MS = 60_000


@asynccontextmanager
async def http(settings: Settings, role: str, http_fd: int | None) -> AsyncIterator[Running]:
    """Of `web` (control and origin), `control` or `origin`, while the context is entered. Raises `CannotStart`."""
    from antlive.http_runner import HttpRunner
    from antlive.malformed_http import LINE_MAX_BYTES, quiet_malformed_http
    from packager.media_files import HOT
    from packager.origin import HELD

    quiet_malformed_http()
    async with AsyncExitStack() as stack:
        # Bound first: the URLs that the API hands out hold the actual port.
        with listening(settings, "HTTP_PORT", settings.http_port):
            listener = listen_http(settings) if http_fd is None else socket.socket(fileno=http_fd)
        stack.callback(listener.close)
        # A viewer who takes nothing of what is sent is cut off by the system.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MS)
        http_port: int = listener.getsockname()[1]
        app = web.Application()
        add_response_headers(app)
        redis = open_redis(settings.full_redis_url or DEFAULT_REDIS_URL, timeout_s=0.7)
        stack.push_async_callback(redis.aclose)
        # A control plane is no node: it needs no data directory.
        files = None if role == "control" else NodeFiles(settings.data_dir)
        add_probes(app, of_control(redis) if files is None else of_node(files, settings.effective_media_dir))
        page = MetricsPage(role, redis, None if files is None else files.node_id())
        page.add_to(app)
        meter = RequestMeter()
        page.registry.register(meter)
        if role in ("web", "control"):
            store = StreamStore(redis, settings.redis_prefix)
            await _add_control(app, settings, http_port, store, http_fd is not None, page)
        if role in ("web", "origin"):
            await _add_origin(stack, app, settings, page, meter)
        # A viewer who leaves frees its held request at once.
        meter.hot = app.get(HOT)
        runner = HttpRunner(
            app,
            app[HOT].answer if HOT in app else None,
            app[HELD].ask if HELD in app else None,
            access_log=LOGGER,
            access_log_class=meter.access_logger(),
            shutdown_timeout=0.5,
            handler_cancellation=True,
            keepalive_timeout=IDLE_S,
            max_line_size=LINE_MAX_BYTES,
            max_field_size=LINE_MAX_BYTES,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listener).start()
        yield Running({"http_port": http_port})


async def _add_control(
    app: web.Application, settings: Settings, http_port: int, store: StreamStore, supervised: bool, page: MetricsPage
) -> None:
    from control.app import setup_control
    from control.event_service import add_event_service
    from control.metrics import ControlMetrics
    from control.reaper import add_reaper
    from control.urls import PublicUrls
    from control.webhooks.policy import webhook_policy

    if settings.api_key is not None and not supervised:
        with asking_redis():
            await store.add_api_key(DEFAULT_ENVIRONMENT, settings.api_key)
    # The supervisor has made one and put it into Redis if the settings have none.
    own_key = settings.api_key or (NodeFiles(settings.data_dir).api_key() if supervised else "")
    urls = PublicUrls(
        host=settings.public_host,
        http_port=http_port,
        rtmp_port=settings.rtmp_port,
        srt_port=settings.srt_port,
        playback=settings.playback_url,
        rtmps_port=settings.rtmps_port or None,
    )
    setup_control(app, settings, store, urls, own_key)
    redis_url = settings.full_redis_url or DEFAULT_REDIS_URL
    service = add_event_service(app, redis_url, settings.redis_prefix, webhook_policy(settings))
    page.registry.register(ControlMetrics(service))
    add_reaper(app, redis_url, settings.redis_prefix)


async def _add_origin(
    stack: AsyncExitStack, app: web.Application, settings: Settings, page: MetricsPage, meter: RequestMeter
) -> None:
    from packager.anywhere import SESSIONS
    from packager.conformance.guard import GUARD, Guard
    from packager.elsewhere import Elsewhere
    from packager.metrics import OriginMetrics
    from packager.origin import HELD, setup_origin
    from packager.player_page import setup_player
    from packager.recordings.object_store import ObjectStore
    from packager.recordings.vod import LIBRARY, has_recording, setup_vod
    from streams.owners import OwnerDirectory
    from streams.viewers import ViewerCounts

    redis = open_redis(settings.full_redis_url or DEFAULT_REDIS_URL, timeout_s=0.7)
    stack.push_async_callback(redis.aclose)
    node_id = NodeFiles(settings.data_dir).node_id()
    keys = Keys(settings.redis_prefix)
    owners = OwnerDirectory(redis, keys, node_id)
    stack.push_async_callback(owners.close)
    reports = ViewerReports(meter.viewers, ViewerCounts(redis, keys), node_id)
    stack.push_async_callback(reports.close)
    reports.start()
    setup_origin(app, settings.effective_media_dir, elsewhere=Elsewhere(owners))
    app[GUARD] = Guard(settings.conformance_share)
    app[SESSIONS].on_news = app[GUARD].look
    app[HELD].on_answers = meter.count_held
    recording_store = ObjectStore.of(settings)
    redirects = settings.recording_store_delivery == "redirect"
    setup_vod(app, settings.effective_recordings_dir, recording_store, redirects=redirects)
    if recording_store is not None:
        from antlive.deleted_copies import DeletedCopies
        from streams.recordings import RecordingStore

        copies = DeletedCopies(RecordingStore(redis, keys), settings.effective_recordings_dir, node_id)
        stack.push_async_callback(copies.close)
        copies.start()
    page.registry.register(OriginMetrics(app[SESSIONS], app[GUARD], meter.viewers))
    media_origin = recording_store.origin if recording_store is not None and redirects else ""
    setup_player(app, HLS_JS_FILE, media_origin, partial(has_recording, app[LIBRARY]))
