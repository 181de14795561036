"""The recorder as a process runs it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import structlog

from config.settings import Settings
from packager.recordings.object_store import ObjectStore
from recorder.metrics import RecorderMetrics
from recorder.recorder import Recorder
from recorder.spool import Spool
from recorder.storing import Disk
from recorder.teller import RedisTeller
from recorder.uploader import Uploader
from streams.connection import open_redis
from streams.recordings import RecordingStore
from streams.store import StreamStore

log = structlog.get_logger()

_RETRY_S = 1.0


@asynccontextmanager
async def recording(settings: Settings, node_id: str, redis_url: str) -> AsyncIterator[RecorderMetrics]:
    """Record while the context is open; what comes of it can be measured."""
    redis = open_redis(redis_url)
    streams = StreamStore(redis, settings.redis_prefix)
    teller = RedisTeller(streams, RecordingStore(redis, streams.keys), settings.recording_retention_s)
    recordings_dir = settings.effective_recordings_dir
    store = ObjectStore.of(settings)
    spool = None if store is None else Spool(settings.recording_spool_mb << 20)
    uploader = None if store is None or spool is None else Uploader(recordings_dir, node_id, store, spool)
    disk = Disk(recordings_dir, settings.recording_reserve_mb << 20, spool)
    recorder = Recorder(settings.effective_media_dir, disk, node_id, teller, store=store, uploader=uploader)
    runs = [recorder.run, lambda: teller.run(recorder), recorder.reading.run]
    if uploader is not None:
        runs.append(uploader.run)
    tasks = [asyncio.create_task(_kept_up(run)) for run in runs]
    try:
        yield RecorderMetrics(recorder, spool, uploader)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await recorder.last_look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_S):
                await teller.last_round(recorder)
        await redis.aclose()


async def _kept_up(run: Callable[[], Coroutine[None, None, None]]) -> None:
    """A fault of one round, whatever it is, is said and does not end the recorder."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("recorder_failed")
        await asyncio.sleep(_RETRY_S)
