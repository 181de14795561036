"""Who has a stream's media: remembered for a moment, and known on while Redis is away."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from streams.connection import open_redis
from streams.ids import new_edge_id
from streams.keys import Keys
from streams.nodes import Node, NodeRegistry
from streams.owners import NOT_NOW, REMEMBERED_S, UNKNOWN_AT_ONCE, UNKNOWN_PER_S, Owner, OwnerDirectory
from streams.state import Event
from streams.store import StreamStore
from tests.redis_server import redis_server
from tests.streams.helpers import NODE, begin, new_stream, session_of

HERE = Node(node_id=NODE, url="http://10.0.0.1:8080")


async def test_the_owner_is_the_node_of_the_latest_session(store: StreamStore) -> None:
    now_s = 100.0
    registry = NodeRegistry(store.redis, store.keys)
    elsewhere = OwnerDirectory(store.redis, store.keys, "node-b", lambda: now_s)
    here = OwnerDirectory(store.redis, store.keys, NODE, lambda: now_s)
    stream, _ = await new_stream(store)
    assert await elsewhere.owner(new_edge_id()) is None
    assert await elsewhere.owner(stream.edge_id) is None
    claim = await begin(store, stream)
    session_id = session_of(claim.stream)
    assert await elsewhere.owner(stream.edge_id) is None, "an absent one is remembered too"
    now_s += REMEMBERED_S
    away = Owner(node_id=NODE, url="", session_id=session_id, is_live=False, is_here=False)
    assert await elsewhere.owner(stream.edge_id) == away
    await registry.heartbeat(HERE, [])
    await store.apply(stream.stream_id, Event.RENDITIONS_READY, session_id=session_id, epoch=claim.epoch)
    now_s += REMEMBERED_S
    there = replace(away, url=HERE.url, is_live=True)
    assert await asyncio.gather(*(elsewhere.owner(stream.edge_id) for _ in range(20))) == [there] * 20
    assert await here.owner(stream.edge_id) == replace(there, is_here=True)
    # Missing until its next heartbeat: what is known of it may still be right.
    await registry.leave(NODE)
    now_s += REMEMBERED_S
    assert await elsewhere.owner(stream.edge_id) == there


async def test_while_redis_is_away_what_is_known_stays_known() -> None:
    now_s = 100.0
    with redis_server() as server:
        redis = open_redis(server.url, timeout_s=0.3)
        store = StreamStore(redis)
        owners = OwnerDirectory(redis, Keys(), "node-b", lambda: now_s)
        stream, _ = await new_stream(store)
        await begin(store, stream)
        known = await owners.owner(stream.edge_id)
        assert known is not None
        server.stop()
        for _ in range(3):
            now_s += REMEMBERED_S
            assert await owners.owner(stream.edge_id) == known
            assert await owners.owner(new_edge_id()) is None
        await owners.close()
        await redis.aclose()


async def test_made_up_names_are_looked_up_so_many_times_a_second_and_no_more(store: StreamStore) -> None:
    now_s = 100.0
    owners = OwnerDirectory(store.redis, store.keys, "node-b", lambda: now_s)
    stream, _ = await new_stream(store)
    await begin(store, stream)
    known = await owners.owner(stream.edge_id)

    async def asked() -> int:
        stats = await store.redis.info("commandstats")
        return int(stats["cmdstat_evalsha"]["calls"])

    before = await asked()
    for _ in range(UNKNOWN_AT_ONCE):
        assert await owners.owner(new_edge_id()) is None
    assert await asked() == before + UNKNOWN_AT_ONCE
    for _ in range(100):
        assert await owners.owner(new_edge_id()) == NOT_NOW
    assert await asked() == before + UNKNOWN_AT_ONCE
    assert await owners.owner(stream.edge_id) == known, "what is known is answered all the same"
    now_s += 1
    answers = [await owners.owner(new_edge_id()) for _ in range(UNKNOWN_PER_S + 50)]
    assert answers.count(None) == UNKNOWN_PER_S
    assert await owners.owner(stream.edge_id) == known
