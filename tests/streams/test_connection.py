"""A task that uses Redis stops when it is told to, whatever it is waiting for at that moment."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from streams.store import StreamStore

WAIT_S = 20.0


async def ask_for_ever(redis: Redis) -> None:
    while True:
        await redis.get("nothing")


async def test_a_cancellation_is_never_lost(store: StreamStore) -> None:
    for turns in range(200):
        task = asyncio.create_task(ask_for_ever(store.redis))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=WAIT_S)
        assert done, f"it went on after {turns} turns of the event loop"


async def test_a_deadline_is_never_lost(store: StreamStore) -> None:
    for step in range(50):
        asking = asyncio.create_task(ask_for_ever(store.redis))
        try:
            async with asyncio.timeout(WAIT_S):
                try:
                    async with asyncio.timeout(step / 10_000):
                        await asking
                except TimeoutError:
                    pass
                assert asking.done()
        finally:
            asking.cancel()


async def test_a_cancelled_task_leaves_no_reply_for_the_next(store: StreamStore) -> None:
    await store.redis.set("key", "value")
    for turns in range(100):
        task = asyncio.create_task(ask_for_ever(store.redis))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await store.redis.get("key") == b"value"
