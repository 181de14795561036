"""The `events` stream at 1,000 transitions a second: how far behind the consumer of the control process gets."""

from __future__ import annotations

import asyncio
import resource
import time
from pathlib import Path

from benchmarks.report import Figure
from control.event_consumer import EventConsumer
from control.webhooks.signing import new_secret
from streams.connection import open_redis
from streams.event_group import EventGroup
from streams.ids import key_hash, new_session_id, new_webhook_id
from streams.model import Claim
from streams.state import Event
from streams.store import StreamStore
from streams.webhook_model import Webhook
from streams.webhook_queue import DeliveryQueue
from streams.webhook_store import WebhookStore
from tests.redis_server import redis_server

EVENTS_PER_S = 1000
STREAMS = 100
_TICK_S = 0.02
_DAY_MS = 86_400_000


async def run(directory: Path, quick: bool) -> list[Figure]:
    """Encoders of 100 live streams leave and come back; every event is queued for a webhook."""
    seconds = 5 if quick else 20
    with redis_server() as server:
        redis = open_redis(server.url)
        store = StreamStore(redis)
        webhooks = WebhookStore(redis, store.keys.prefix)
        await webhooks.add(_webhook())
        claims = [await _live(store) for _ in range(STREAMS)]
        group = EventGroup(redis, store.keys.prefix, lease_ms=60_000)
        queue = DeliveryQueue(redis, store.keys.prefix)
        consumer = EventConsumer(group, queue, retry_horizon_ms=_DAY_MS, on_routed=lambda: None)
        assert await group.take_lead()
        while await consumer.step():
            pass
        before, lags_ms = consumer.counts.handled, [0]
        task = asyncio.create_task(consumer.run())
        cpu_start_s, start_s = _cpu_s(), time.monotonic()
        sent = 0
        while (passed_s := time.monotonic() - start_s) < seconds:
            due = int(passed_s * EVENTS_PER_S)
            await asyncio.gather(*(_blink(store, claims[n % STREAMS], n // STREAMS) for n in range(sent, due)))
            sent = due
            lags_ms.append(consumer.counts.lag_ms)
            await asyncio.sleep(_TICK_S)
        async with asyncio.timeout(10):
            while consumer.counts.handled - before < sent:  # noqa: ASYNC110 (the consumer tells nobody)
                await asyncio.sleep(_TICK_S)
        cpu_s = _cpu_s() - cpu_start_s
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await redis.aclose()
    note = f"{sent} events in {seconds} s, {cpu_s / seconds:.2f} cores with the transitions themselves"
    return [Figure(name="lag of the event consumer", value=max(lags_ms) / 1000, unit="s", at_most=1.0, note=note)]


def _webhook() -> Webhook:
    return Webhook(
        webhook_id=new_webhook_id(),
        env="default",
        url="https://example.com/",
        event_types=(),
        enabled=True,
        description="",
        created_ms=0,
        secret=new_secret(),
    )


async def _live(store: StreamStore) -> Claim:
    stream, key = await store.create(
        env="default", name="benchmark", quality="standard", low_latency=True, recording=False, reconnect_window_s=60
    )
    claim = await store.begin_session(
        stream.stream_id, key_hash=key_hash(key), session_id=new_session_id(), node_id="bench"
    )
    await _apply(store, claim, Event.RENDITIONS_READY)
    return claim


async def _blink(store: StreamStore, claim: Claim, count: int) -> None:
    await _apply(store, claim, Event.ENCODER_BACK if count % 2 else Event.ENCODER_LOST)


async def _apply(store: StreamStore, claim: Claim, event: Event) -> None:
    session_id = claim.stream.session_id
    assert session_id is not None
    await store.apply(claim.stream.stream_id, event, session_id=session_id, epoch=claim.epoch)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
