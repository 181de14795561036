"""The service as a whole: it outlives an absence of Redis, and ends when told to, whatever fails at that moment."""

from __future__ import annotations

import asyncio

from redis.exceptions import ConnectionError as RedisConnectionError

from control.event_service import EventService
from streams.connection import open_redis
from streams.store import StreamStore
from streams.webhook_store import WebhookStore
from tests.control_events.helpers import OPEN_POLICY, WAIT_S, Receiver, add_stream, add_webhook, until
from tests.redis_server import RedisServer


async def test_deliveries_go_on_after_redis_was_away(
    server: RedisServer, store: StreamStore, webhooks: WebhookStore, good: Receiver
) -> None:
    await add_webhook(webhooks, good.url)
    redis = open_redis(server.url, timeout_s=0.6)
    service = EventService(redis, store.keys.prefix, OPEN_POLICY)
    task = asyncio.create_task(service.run())
    try:
        for _ in range(2):
            await until(lambda: service.dispatcher is not None)
            server.freeze()
            await until(lambda: service.dispatcher is None)
            server.thaw()
            stream = await add_stream(store)
            await until(lambda stream=stream: good.seqs(stream) == [1])  # type: ignore[misc]
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=WAIT_S)
        await redis.aclose()


async def test_a_failure_while_it_is_cancelled_does_not_keep_it_alive(store: StreamStore) -> None:
    service = EventService(store.redis, store.keys.prefix, OPEN_POLICY)
    consuming = asyncio.Event()

    async def consume() -> None:
        consuming.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise RedisConnectionError("cut by the cancellation")

    service.consumer.run = consume  # type: ignore[method-assign]
    task = asyncio.create_task(service.run())
    await asyncio.wait_for(consuming.wait(), WAIT_S)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=WAIT_S)
    assert done and task.cancelled()


async def test_it_can_be_cancelled_at_any_moment(store: StreamStore) -> None:
    for step in range(60):
        service = EventService(store.redis, store.keys.prefix, OPEN_POLICY)
        task = asyncio.create_task(service.run())
        for _ in range(step):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=WAIT_S)
        assert done, f"it went on after {step} turns of the event loop"
