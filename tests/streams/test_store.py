"""Streams and keys in a real Redis."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from streams.connection import open_redis
from streams.ids import is_edge_id, is_stream_id, is_stream_key, key_hash
from streams.model import Stream, StreamPage
from streams.records import text
from streams.state import State
from streams.store import StreamStore
from streams.times import utc_now
from tests.redis_server import RedisServer, redis_server
from tests.streams.helpers import begin, new_stream, read, stream_in

EMPTY = StreamPage(streams=(), total=0, has_more=False)


async def test_a_new_stream_is_idle_and_reads_back_equal(store: StreamStore) -> None:
    stream, key = await store.create(
        env="default", name="Ünïcode 🎥", quality="high", low_latency=False, recording=True, reconnect_window_s=7
    )
    assert is_stream_id(stream.stream_id)
    assert is_edge_id(stream.edge_id)
    assert is_stream_key(key)
    assert stream.state is State.IDLE
    assert (stream.name, stream.quality, stream.low_latency, stream.recording) == ("Ünïcode 🎥", "high", False, True)
    assert (stream.reconnect_window_s, stream.epoch, stream.seq) == (7, 0, 1)
    assert (stream.session_id, stream.node_id, stream.started_at, stream.ended_at, stream.reason) == (None,) * 5
    assert timedelta(0) <= utc_now() - stream.created_at < timedelta(seconds=60)
    assert await store.get("default", stream.stream_id) == stream
    assert await store.find_by_key(key_hash(key)) == stream
    assert await store.find_by_edge(stream.edge_id) == stream


async def test_what_does_not_exist_is_none(store: StreamStore) -> None:
    assert await store.get("default", "ls_00000000000000000000000000") is None
    assert await store.find_by_key(key_hash("sk_wrong")) is None
    assert await store.find_by_edge("lse_00000000000000000000000000") is None
    assert await store.list("default", limit=20) == EMPTY
    assert list(await store.sessions_of_node("node-a")) == []


async def test_a_stream_is_seen_in_its_environment_only(store: StreamStore) -> None:
    stream, _ = await new_stream(store, env="red")
    assert await store.get("red", stream.stream_id) == stream
    assert await store.get("blue", stream.stream_id) is None
    assert await store.list("blue", limit=20) == EMPTY


async def test_a_key_that_the_stream_no_longer_holds_finds_nothing(store: StreamStore) -> None:
    stream, key = await new_stream(store)
    await store.redis.hset(store.keys.stream(stream.stream_id), "key_hash", key_hash("another"))
    assert await store.find_by_key(key_hash(key)) is None


async def test_list_is_newest_first_and_paged(store: StreamStore) -> None:
    created = [(await new_stream(store, name=str(number)))[0] for number in range(7)]
    newest_first = tuple(created[::-1])

    async def listed(limit: int, offset: int = 0) -> tuple[tuple[Stream, ...], int, bool]:
        page = await store.list("default", limit=limit, offset=offset)
        return page.streams, page.total, page.has_more

    assert await listed(20) == (newest_first, 7, False)
    assert await listed(3) == (newest_first[:3], 7, True)
    assert await listed(3, 3) == (newest_first[3:6], 7, True)
    assert await listed(3, 6) == (newest_first[6:], 7, False)
    assert await listed(3, 4) == (newest_first[4:], 7, False)
    assert await listed(3, 7) == ((), 7, False)


async def test_positions_grow_even_when_the_clock_goes_back(
    store: StreamStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_ns = iter([9_000_000, 5_000_000, 5_000_000, 1_000, 20_000_000])
    monkeypatch.setattr("streams.changes.time", SimpleNamespace(time_ns=lambda: next(clock_ns)))
    created = [(await new_stream(store, name=str(number)))[0] for number in range(5)]
    page = await store.list("default", limit=20)
    assert page.streams == tuple(created[::-1])
    assert [stream.position for stream in page.streams] == [20_000, 9_003, 9_002, 9_001, 9_000]


async def test_a_list_continues_below_a_position_whatever_came_or_went(store: StreamStore) -> None:
    created = [(await new_stream(store, name=str(number)))[0] for number in range(9)]
    first = await store.list("default", limit=3)
    await new_stream(store, name="newer")
    await store.changes.delete("default", first.streams[-1].stream_id)
    seen = list(first.streams)
    page = first
    while page.has_more:
        page = await store.list("default", limit=3, below=page.streams[-1].position)
        seen += page.streams
    assert seen == created[::-1]


async def test_a_list_by_state_follows_every_change(store: StreamStore) -> None:
    by_state = {state: [await stream_in(store, state) for _ in range(2)] for state in State}
    for state, streams in by_state.items():
        page = await store.list("default", limit=20, state=state)
        assert (page.streams, page.total) == (tuple(streams[::-1]), 2)
    gone = by_state[State.ERROR][0]
    await store.changes.delete("default", gone.stream_id)
    assert (await store.list("default", limit=20, state=State.ERROR)).streams == (by_state[State.ERROR][1],)
    assert (await store.list("default", limit=20)).total == 9


async def test_prefixes_keep_installations_apart(store: StreamStore) -> None:
    stream, key = await new_stream(store)
    other = StreamStore(store.redis, prefix=f"{{{store.keys.prefix}}}:")
    assert await other.get("default", stream.stream_id) is None
    assert await other.find_by_key(key_hash(key)) is None
    await begin(other, (await new_stream(other))[0])
    names = [text(name) for name in await store.redis.keys("*")]
    assert sum(name.startswith(other.keys.prefix) for name in names) == 9


async def test_no_key_is_kept_logged_or_shown(store: StreamStore) -> None:
    with capture_logs() as logs:
        stream, key = await new_stream(store)
        await store.add_api_key("default", "ak_secret")
        claim = await begin(store, stream)
    kept = await _everything(store.redis, store.keys.prefix)
    assert stream.key_hash in kept
    for secret in (key, "ak_secret"):
        assert secret not in kept
        assert secret not in repr((logs, stream, claim))
    assert stream.key_hash not in repr((logs, stream, claim))


async def _everything(redis: Redis, prefix: str) -> str:
    found: list[Any] = []
    for name in await redis.keys(f"{prefix}*"):
        match text(await redis.type(name)):
            case "hash":
                found.append((name, await redis.hgetall(name)))
            case "string":
                found.append((name, await redis.get(name)))
            case "zset":
                found.append((name, await redis.zrange(name, 0, -1)))
            case "stream":
                found.append((name, await redis.xrange(name)))
    return repr(found)


async def test_a_client_that_decodes_replies_works_too(server: RedisServer, store: StreamStore) -> None:
    redis = Redis.from_url(server.url, decode_responses=True)
    decoding = StreamStore(redis, prefix=store.keys.prefix)
    stream, key = await new_stream(decoding)
    claim = await begin(decoding, stream)
    assert await decoding.find_by_key(key_hash(key)) == claim.stream == await read(store, stream)
    assert [session.stream_id for session in await decoding.sessions_of_node("node-a")] == [stream.stream_id]
    await redis.aclose()


async def test_a_redis_that_is_away_is_an_error_and_one_that_is_back_works() -> None:
    with redis_server() as server:
        redis = open_redis(server.url)
        store = StreamStore(redis)
        await begin(store, (await new_stream(store))[0])
        server.stop()
        with pytest.raises(RedisError):
            await new_stream(store)
        server.start()
        # Connections and scripts of the first server are gone; the very next calls work.
        stream, _ = await new_stream(store)
        assert (await begin(store, stream)).epoch == 1
        await redis.aclose()


async def test_a_redis_that_hangs_is_an_error_within_the_timeout() -> None:
    with redis_server() as server:
        redis = open_redis(server.url, timeout_s=0.05)
        store = StreamStore(redis)
        server.freeze()
        async with asyncio.timeout(5):
            with pytest.raises(RedisError):
                await store.get("default", "ls_00000000000000000000000000")
        server.thaw()
        await redis.aclose()
