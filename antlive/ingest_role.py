"""The role that takes publishers: RTMP, SRT, and their sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from antlive.capacity import knowing_capacity
from antlive.metrics_page import MetricsPage, serve_metrics
from antlive.node import NodeFiles
from antlive.node_url import node_url
from antlive.running import DEFAULT_REDIS_URL, CannotStart, Running, asking_redis, listening
from antlive.slate_check import slate_problem
from config.limits import LIMITS
from config.logs import LogStyle
from config.settings import ENV_PREFIX, Settings
from ingest.broadcasts import Broadcasts
from ingest.certificate import Certificate, certificate_problem
from ingest.drain import Drain
from ingest.event_follower import EventFollower
from ingest.forks import Forks
from ingest.membership import Membership
from ingest.metrics import IngestMetrics
from ingest.rtmp.server import RtmpServer
from ingest.srt.directory import KeyDirectory
from ingest.srt.directory_follower import DirectoryFollower
from ingest.srt.server import SrtServer
from ingest.strangers import Strangers
from ingest.workers import WorkerPool
from ingest.write_back import WriteBack
from streams.connection import open_redis
from streams.nodes import NodeRegistry
from streams.store import StreamStore


@asynccontextmanager
async def ingest(settings: Settings, forks: Forks | None) -> AsyncIterator[Running]:
    """Runs for as long as the context is entered. Raises `CannotStart`."""
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
        with asking_redis():
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
        with asking_redis():
            await membership.start()
        await stack.enter_async_context(knowing_capacity(capacity, settings.capacity_units, files, workers))
        strangers = Strangers(LIMITS)
        server = RtmpServer(broadcasts, LIMITS, strangers)
        stack.push_async_callback(server.close)
        with listening(settings, "RTMP_PORT", settings.rtmp_port):
            rtmp_port = await server.start(settings.bind, settings.rtmp_port)
        rtmps_port = await _start_rtmps(stack, server, settings)
        follower = DirectoryFollower(store, directory)
        stack.push_async_callback(follower.close)
        follower.start()
        srt = SrtServer(broadcasts, directory, LIMITS, strangers, broadcasts.tally.srt_refused)
        stack.push_async_callback(srt.close)
        with listening(settings, "SRT_PORT", settings.srt_port):
            srt_port = await srt.start(
                settings.bind,
                settings.srt_port,
                latency_ms=settings.srt_latency_ms,
                passphrase=settings.srt_passphrase,
            )
        page = MetricsPage("ingest", redis)
        page.registry.register(IngestMetrics(broadcasts))
        with listening(settings, "METRICS_PORT", settings.metrics_port or 0):
            port = None if settings.metrics_port is None else (settings.bind, settings.metrics_port)
            metrics_port = await serve_metrics(stack, page, "ingest", files, settings.effective_media_dir, port)
        stack.push_async_callback(drain.close)
        ports = {"rtmp_port": rtmp_port, "srt_port": srt_port, "rtmps_port": rtmps_port, "metrics_port": metrics_port}
        yield Running({name: port for name, port in ports.items() if port is not None}, drain)


async def _start_rtmps(stack: AsyncExitStack, server: RtmpServer, settings: Settings) -> int | None:
    if settings.rtmps_port is None or settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        certificate = Certificate(settings.tls_cert, settings.tls_key)
    except OSError as error:
        names = f"{ENV_PREFIX}TLS_CERT {str(settings.tls_cert)!r} and {ENV_PREFIX}TLS_KEY {str(settings.tls_key)!r}"
        raise CannotStart(f"cannot use {names}: {certificate_problem(error)}") from error
    certificate.follow()
    stack.push_async_callback(certificate.close)
    with listening(settings, "RTMPS_PORT", settings.rtmps_port):
        return await server.start(settings.bind, settings.rtmps_port, certificate.context)
