"""A publisher that arrives in the instant of a rotation, a deletion or an end: one comes first, never half of each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest_asyncio

from streams.connection import open_redis
from streams.errors import AlreadyPublishing, KeyRevoked, StreamBusy
from streams.ids import key_hash
from streams.model import Claim
from streams.state import Event, EventType, State
from streams.store import StreamStore
from tests.redis_server import RedisServer
from tests.streams.helpers import ENV, all_events_of, begin, new_stream, read, session_of

ROUNDS = 300


@pytest_asyncio.fixture
async def rivals(server: RedisServer, store: StreamStore) -> AsyncIterator[list[StreamStore]]:
    """Stores with connections of their own, as in other processes."""
    clients = [open_redis(server.url) for _ in range(4)]
    yield [StreamStore(client, prefix=store.keys.prefix) for client in clients]
    for client in clients:
        await client.aclose()


async def _at_once(seed: int, *actions: Awaitable[Any]) -> list[Any]:
    """The outcomes of actions that start together, in a random order, each after a few turns of the loop."""
    source = random.Random(seed)
    turns = [source.randrange(6) for _ in actions]

    async def run(action: Awaitable[Any], count: int) -> Any:
        for _ in range(count):
            await asyncio.sleep(0)
        return await action

    order = list(range(len(actions)))
    source.shuffle(order)
    tasks = {index: asyncio.ensure_future(run(actions[index], turns[index])) for index in order}
    await asyncio.wait(tasks.values())
    return [tasks[index].exception() or tasks[index].result() for index in range(len(actions))]


async def test_never_a_live_stream_with_a_dead_key(store: StreamStore, rivals: list[StreamStore]) -> None:
    first = 0
    for seed in range(ROUNDS):
        stream, _ = await new_stream(store)
        rotated, claimed = await _at_once(
            seed, rivals[0].changes.rotate_key(ENV, stream.stream_id), begin(rivals[1], stream)
        )
        now = await read(store, stream)
        found = await store.find_by_key(now.key_hash)
        assert found is not None and found.stream_id == stream.stream_id
        if isinstance(claimed, Claim):
            first += 1
            assert isinstance(rotated, StreamBusy)
            assert (now.state, now.key_hash) == (State.CONNECTING, stream.key_hash)
        else:
            assert isinstance(claimed, KeyRevoked)
            assert (now.state, now.key_hash) == (State.IDLE, key_hash(rotated[1]))
    assert 0 < first < ROUNDS, "one side has always won: this was no race"


async def test_never_a_deleted_stream_that_goes_live(store: StreamStore, rivals: list[StreamStore]) -> None:
    first = 0
    for seed in range(ROUNDS):
        stream, _ = await new_stream(store)
        deleted, claimed = await _at_once(
            seed, rivals[0].changes.delete(ENV, stream.stream_id), begin(rivals[1], stream)
        )
        types = [event.type for event in await all_events_of(store, stream)]
        if isinstance(claimed, Claim):
            first += 1
            assert isinstance(deleted, StreamBusy)
            assert (await read(store, stream)).state is State.CONNECTING
            assert types == [EventType.CREATED, EventType.CONNECTING]
        else:
            assert isinstance(claimed, KeyRevoked)
            assert deleted is None
            assert await store.get(ENV, stream.stream_id) is None
            assert not await store.redis.exists(*store.keys.of_stream(stream.stream_id)[:2])
            assert types == [EventType.CREATED, EventType.DELETED]
    assert 0 < first < ROUNDS, "one side has always won: this was no race"


async def test_everybody_at_once_leaves_one_story(store: StreamStore, rivals: list[StreamStore]) -> None:
    """Publish, go live, end, rotate and delete together: the events are a path of the table, and the store agrees."""
    for seed in range(ROUNDS // 3):
        stream, _ = await new_stream(store)
        claim = await begin(store, stream)
        outcomes = await _at_once(
            seed,
            rivals[0].changes.end_session(ENV, stream.stream_id),
            rivals[1].apply(
                stream.stream_id, Event.RENDITIONS_READY, session_id=session_of(claim.stream), epoch=claim.epoch
            ),
            begin(rivals[2], stream),
            rivals[3].changes.rotate_key(ENV, stream.stream_id),
            rivals[0].changes.delete(ENV, stream.stream_id),
        )
        begun = outcomes[2]
        assert isinstance(begun, (Claim, KeyRevoked, AlreadyPublishing))
        events = await all_events_of(store, stream)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        now = await store.get(ENV, stream.stream_id)
        if outcomes[4] is None:
            assert now is None
            assert events[-1].type is EventType.DELETED
        else:
            assert now is not None
            assert (now.state, now.seq) == (events[-1].state, len(events))
            assert await store.find_by_key(now.key_hash) == now
        if isinstance(begun, Claim):
            assert now is not None
            assert (now.epoch, now.key_hash) == (2, stream.key_hash)
