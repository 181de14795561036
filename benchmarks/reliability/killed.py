"""Faults of the service itself: each of its processes killed or stopped while a stream is live."""

from __future__ import annotations

import asyncio
import signal

from benchmarks.reliability.faults import fault
from benchmarks.reliability.scene import Scene
from tests.e2e.inside import role, workers

_RETRY_S = 2.0
"""After this long OBS connects again."""


@fault("session worker killed", quality="passthrough")
@fault("session worker killed")
async def worker_killed(scene: Scene) -> None:
    """Another goes on with the session; the encoder stays connected."""
    for worker in workers(scene.node).values():
        worker.kill()


@fault("web (origin and API) killed")
async def web_killed(scene: Scene) -> None:
    """Playlists and parts come from the files again a moment later."""
    role(scene.node, "web").kill()


@fault("ingest killed, encoder back after 2 s", away_s=_RETRY_S, quality="passthrough")
@fault("ingest killed, encoder back after 2 s", away_s=_RETRY_S)
async def ingest_killed(scene: Scene) -> None:
    """Its workers outlive it."""
    role(scene.node, "ingest").kill()
    await scene.encoder.process.wait()
    await asyncio.sleep(_RETRY_S)
    await scene.encoder.start()


@fault("ingest and its workers killed, encoder back after 2 s", away_s=_RETRY_S, at_most_s=4)
async def ingest_and_workers_killed(scene: Scene) -> None:
    """Sessions go on from their files."""
    for worker in workers(scene.node).values():
        worker.kill()
    await ingest_killed(scene)


@fault("embedded Redis killed", at_most_s=0.5)
async def redis_killed(scene: Scene) -> None:
    """Redis is not on the way of the media."""
    role(scene.node, "redis-server").kill()
    await asyncio.sleep(5)


@fault("Redis hangs for 60 s", at_most_s=0.5)
async def redis_hangs(scene: Scene) -> None:
    """As an external one does whose network is gone."""
    redis = role(scene.node, "redis-server")
    redis.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(60)
    finally:
        redis.send_signal(signal.SIGCONT)
