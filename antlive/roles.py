"""The roles of a node, each a process of its own: ingest, web (control + origin), control, origin."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import uvloop
from aiohttp import web
from redis.exceptions import RedisError

from antlive.listener import listen_http, listen_problem
from antlive.metrics_page import MetricsPage, serve_metrics
from antlive.node import NodeFiles
from antlive.node_locks import DirectoryBusy, DirectoryUnusable, lock_role
from antlive.node_url import node_url
from antlive.probes import add_probes, of_control, of_node
from antlive.request_meter import LOGGER, RequestMeter
from antlive.response_headers import add_response_headers
from antlive.signals import StopSignals
from antlive.viewer_reports import ViewerReports
from config.limits import LIMITS
from config.logs import LogStyle, configure_logs
from config.settings import ENV_PREFIX, Settings
from streams.api_keys import DEFAULT_ENVIRONMENT
from streams.connection import open_redis
from streams.keys import Keys
from streams.nodes import NodeRegistry
from streams.problems import problem_of
from streams.store import StreamStore

if TYPE_CHECKING:
    from ingest.drain import Drain
    from ingest.forks import Forks
    from ingest.rtmp.server import RtmpServer

log = structlog.get_logger()

HLS_JS_FILE = Path(__file__).parent.parent / "node_modules/hls.js/dist/hls.min.js"
DEFAULT_REDIS_URL = "redis://localhost:6379/0"
IDLE_S = 75.0
"""How long a connection is kept without a whole request; more than a proxy in front keeps an idle one (nginx: 60)."""
STALLED_MS = 60_000
_GLANCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A role that has come up: its actual ports, and how to drain it if it takes publishers."""

    ports: dict[str, Any]
    drain: Drain | None = None


class CannotStart(RuntimeError):
    """A role did not come up. The message is one line for the person who started it."""


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
        start = _ingest(settings, forks)
    elif role == "recorder":
        start = _recorder(settings)
    else:
        start = _http(settings, role, http_fd)
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
    from antlive.children import StartFailed
    from antlive.embedded_redis import WAIT_S, RedisRefuses, wait_for_redis

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


@contextmanager
def _listening(settings: Settings, name: str, port: int) -> Iterator[None]:
    """Names the setting behind a port that can't be had."""
    try:
        yield
    except OSError as error:
        raise CannotStart(listen_problem(settings, name, port, error)) from error


@contextmanager
def _asking_redis() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise CannotStart(f"cannot use Redis ({ENV_PREFIX}REDIS_URL): {problem_of(error)}") from error


@asynccontextmanager
async def _ingest(settings: Settings, forks: Forks | None) -> AsyncIterator[Running]:
    # Imported here: each role loads only what it runs.
    from antlive.capacity import knowing_capacity
    from antlive.slate_check import slate_problem
    from ingest.broadcasts import Broadcasts
    from ingest.drain import Drain
    from ingest.event_follower import EventFollower
    from ingest.membership import Membership
    from ingest.metrics import IngestMetrics
    from ingest.rtmp.server import RtmpServer
    from ingest.srt.directory import KeyDirectory
    from ingest.srt.directory_follower import DirectoryFollower
    from ingest.srt.server import SrtServer
    from ingest.strangers import Strangers
    from ingest.workers import WorkerPool
    from ingest.write_back import WriteBack

    if settings.slate_image is not None and (problem := await slate_problem(settings.slate_image)):
        raise CannotStart(f"cannot use {ENV_PREFIX}SLATE_IMAGE={settings.slate_image}: {problem}")
    async with AsyncExitStack() as stack:
        redis = open_redis(settings.full_redis_url or DEFAULT_REDIS_URL)
        stack.push_async_callback(redis.aclose)
        files = NodeFiles(settings.data_dir)
        files.draining = files.full = False
        node_id = files.node_id()
        logs = LogStyle(settings.log_format, settings.log_level)
        workers = WorkerPool(node_id, logs=logs, ladders=settings.all_ladders, forks=forks)
        stack.push_async_callback(workers.close)
        await workers.start()
        store = StreamStore(redis, settings.redis_prefix)
        broadcasts = Broadcasts(store, workers, settings, LIMITS, node_id)
        with _asking_redis():
            await broadcasts.recover()
        directory = KeyDirectory(node_id, broadcasts.delivering)
        capacity = broadcasts.capacity

        def room_changed() -> None:
            files.full, directory.full = capacity.is_full, capacity.takes_no_ladder
            membership.wake()

        def drains() -> None:
            files.draining = directory.draining = True

        registry = NodeRegistry(redis, store.keys)
        membership = Membership(
            registry,
            node_id,
            node_url(settings),
            broadcasts.hosted,
            broadcasts.lost,
            lambda limit_s: drain.begin(limit_s),
            capacity,
            WriteBack(registry, broadcasts.all).look,
        )
        capacity.on_change = room_changed
        drain = Drain(broadcasts, membership, registry, node_id, drains)
        broadcasts.on_moved = membership.wake
        # Leaves last: what is being ended is nobody else's. What is left to others should be known up to its end.
        stack.push_async_callback(membership.close)
        stack.push_async_callback(broadcasts.close)
        stack.push_async_callback(membership.tell)
        events = EventFollower(store, broadcasts.stream_event)
        await events.start()
        stack.push_async_callback(events.close)
        with _asking_redis():
            await membership.start()
        await stack.enter_async_context(knowing_capacity(capacity, settings.capacity_units, files, workers))
        strangers = Strangers(LIMITS)
        server = RtmpServer(broadcasts, LIMITS, strangers)
        stack.push_async_callback(server.close)
        with _listening(settings, "RTMP_PORT", settings.rtmp_port):
            rtmp_port = await server.start(settings.bind, settings.rtmp_port)
        rtmps_port = await _start_rtmps(stack, server, settings)
        follower = DirectoryFollower(store, directory)
        stack.push_async_callback(follower.close)
        follower.start()
        srt = SrtServer(broadcasts, directory, LIMITS, strangers, broadcasts.tally.srt_refused)
        stack.push_async_callback(srt.close)
        with _listening(settings, "SRT_PORT", settings.srt_port):
            srt_port = await srt.start(
                settings.bind,
                settings.srt_port,
                latency_ms=settings.srt_latency_ms,
                passphrase=settings.srt_passphrase,
            )
        page = MetricsPage("ingest", redis)
        page.registry.register(IngestMetrics(broadcasts))
        with _listening(settings, "METRICS_PORT", settings.metrics_port or 0):
            port = None if settings.metrics_port is None else (settings.bind, settings.metrics_port)
            metrics_port = await serve_metrics(stack, page, "ingest", files, settings.effective_media_dir, port)
        stack.push_async_callback(drain.close)
        ports = {"rtmp_port": rtmp_port, "srt_port": srt_port, "rtmps_port": rtmps_port, "metrics_port": metrics_port}
        yield Running({name: port for name, port in ports.items() if port is not None}, drain)


async def _start_rtmps(stack: AsyncExitStack, server: RtmpServer, settings: Settings) -> int | None:
    from ingest.certificate import Certificate, certificate_problem

    if settings.rtmps_port is None or settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        certificate = Certificate(settings.tls_cert, settings.tls_key)
    except OSError as error:
        names = f"{ENV_PREFIX}TLS_CERT {str(settings.tls_cert)!r} and {ENV_PREFIX}TLS_KEY {str(settings.tls_key)!r}"
        raise CannotStart(f"cannot use {names}: {certificate_problem(error)}") from error
    certificate.follow()
    stack.push_async_callback(certificate.close)
    with _listening(settings, "RTMPS_PORT", settings.rtmps_port):
        return await server.start(settings.bind, settings.rtmps_port, certificate.context)


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


@asynccontextmanager
async def _http(settings: Settings, role: str, http_fd: int | None) -> AsyncIterator[Running]:
    from antlive.http_runner import HttpRunner
    from antlive.malformed_http import LINE_MAX_BYTES, quiet_malformed_http
    from packager.media_files import HOT
    from packager.origin import HELD

    quiet_malformed_http()
    async with AsyncExitStack() as stack:
        # Bound first: the URLs that the API hands out hold the actual port.
        with _listening(settings, "HTTP_PORT", settings.http_port):
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
        with _asking_redis():
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
