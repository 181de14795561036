"""The follower of the `events` stream on a real Redis."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import structlog
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

import ingest.event_follower
from ingest.event_follower import EventFollower
from streams.connection import open_redis
from streams.events import StreamEvent
from streams.state import EventType
from streams.store import StreamStore
from tests.redis_server import RedisServer, redis_server
from tests.streams.helpers import new_stream


class Seen:
    """Events as they are handed over."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self._came = asyncio.Event()

    def note(self, event: StreamEvent) -> None:
        self.events.append(event)
        self._came.set()

    async def wait_for(self, count: int) -> list[StreamEvent]:
        async with asyncio.timeout(20):
            while len(self.events) < count:
                self._came.clear()
                await self._came.wait()
        return self.events


@pytest_asyncio.fixture
async def server() -> AsyncIterator[RedisServer]:
    with redis_server() as started:
        yield started


@pytest_asyncio.fixture
async def store(server: RedisServer) -> AsyncIterator[StreamStore]:
    redis = open_redis(server.url)
    yield StreamStore(redis, prefix=f"test-{secrets.token_hex(4)}:")
    await redis.aclose()


async def test_it_hands_over_what_comes_after_its_start_in_order(store: StreamStore) -> None:
    await new_stream(store, name="before")
    seen = Seen()
    follower = EventFollower(store, seen.note)
    await follower.start()
    created = [(await new_stream(store, name=str(number)))[0] for number in range(20)]
    await store.changes.delete("default", created[0].stream_id)
    events = await seen.wait_for(21)
    await follower.close()
    assert [event.data.get("name") for event in events] == [*map(str, range(20)), None]
    assert (events[-1].type, events[-1].stream_id) == (EventType.DELETED, created[0].stream_id)


async def test_an_entry_that_is_no_event_stops_nothing(store: StreamStore) -> None:
    seen = Seen()
    follower = EventFollower(store, seen.note)
    await follower.start()
    await store.redis.xadd(store.keys.events, {"nonsense": "1"})
    stream, _ = await new_stream(store)
    (event,) = await seen.wait_for(1)
    await follower.close()
    assert event.stream_id == stream.stream_id


async def test_a_redis_that_goes_away_is_waited_for(server: RedisServer, store: StreamStore) -> None:
    seen = Seen()
    follower = EventFollower(store, seen.note)
    await follower.start()
    await new_stream(store, name="one")
    await seen.wait_for(1)
    server.stop()
    server.start()
    await new_stream(store, name="two")
    events = await seen.wait_for(2)
    await follower.close()
    assert [event.data["name"] for event in events] == ["one", "two"]


async def test_that_it_is_away_is_said_once(store: StreamStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.event_follower, "_RETRY_S", 0)
    tries = 0
    tried_enough = asyncio.Event()

    async def away(redis: Redis, *question: object, **options: object) -> None:
        nonlocal tries
        tries += 1
        if tries > 10:
            tried_enough.set()
        raise RedisConnectionError("Error 111 connecting to redis:6379. x.")

    follower = EventFollower(store, Seen().note)
    monkeypatch.setattr(Redis, "xread", away)
    with structlog.testing.capture_logs() as lines:
        await follower.start()
        await tried_enough.wait()
        await follower.close()
    assert [line["event"] for line in lines] == ["events_not_followed"]
