"""The node registry: leases, sessions that have moved on, and those that a node which is gone leaves behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from streams.errors import StaleSession
from streams.ids import new_session_id
from streams.model import Claim
from streams.nodes import HostedSession, Node, NodeRegistry, NodeState
from streams.state import Event, State
from streams.store import StreamStore
from tests.streams.helpers import NODE, begin, events_of, new_stream, read, session_of

HERE = Node(node_id=NODE, url="http://10.0.0.1:8080")


@pytest.fixture
def registry(store: StreamStore) -> NodeRegistry:
    return NodeRegistry(store.redis, store.keys)


def hosted(claim: Claim, **changes: object) -> HostedSession:
    session = HostedSession(
        stream_id=claim.stream.stream_id,
        session_id=session_of(claim.stream),
        epoch=claim.epoch,
        delivering=True,
        checkpoint="somewhere",
    )
    return replace(session, **changes)  # type: ignore[arg-type]


async def forget(store: StreamStore, node_id: str, heard_ago_s: int) -> None:
    """As if this node had been heard of last so long ago."""
    await store.redis.delete(store.keys.node(node_id))
    (now_s, _us) = await store.redis.time()
    await store.redis.zadd(store.keys.nodes, {node_id: now_s - heard_ago_s})


async def test_a_heartbeat_says_for_a_lease_who_is_there(store: StreamStore, registry: NodeRegistry) -> None:
    draining = Node(node_id="node-b", url="", state=NodeState.DRAINING, sessions=2)
    await registry.heartbeat(HERE, [])
    await registry.heartbeat(draining, [])
    assert sorted(await registry.nodes(), key=lambda node: node.node_id) == [HERE, draining]
    assert 5000 < await store.redis.pttl(store.keys.node(NODE)) <= 6000
    await registry.leave(NODE)
    assert await registry.nodes() == [draining]


async def test_a_heartbeat_notes_sessions_and_tells_which_are_lost(store: StreamStore, registry: NodeRegistry) -> None:
    kept, moved, ended, gone = [await begin(store, (await new_stream(store))[0]) for _ in range(4)]
    await store.redis.hincrby(store.keys.stream(moved.stream.stream_id), "epoch", 1)
    await store.apply(ended.stream.stream_id, Event.WINDOW_OVER, session_id=session_of(ended.stream), epoch=ended.epoch)
    await store.redis.delete(store.keys.stream(gone.stream.stream_id), store.keys.session(gone.stream.stream_id))
    before = {key: await store.redis.dump(key) for key in await store.redis.keys(f"{store.keys.prefix}s*")}
    answer = await registry.heartbeat(HERE, [hosted(claim) for claim in (kept, moved, ended, gone)])
    assert answer.lost == {session_of(moved.stream)}
    kept_key = store.keys.session(kept.stream.stream_id)
    noted = await store.redis.hmget(kept_key, "delivering", "checkpoint")
    assert noted == [b"1", b"somewhere"]
    for key in await store.redis.keys(f"{store.keys.prefix}s*"):
        assert (await store.redis.dump(key) == before[key]) == (key != kept_key.encode()), key
    await registry.heartbeat(HERE, [hosted(kept, delivering=False, checkpoint="")])
    assert await store.redis.hmget(kept_key, "delivering", "checkpoint") == [b"0", b"somewhere"]


async def test_the_sessions_of_a_node_that_is_gone_end_after_their_window(
    store: StreamStore, registry: NodeRegistry
) -> None:
    stream, _ = await new_stream(store)  # its window is 60 s
    claim = await begin(store, stream)
    await registry.heartbeat(HERE, [hosted(claim)])
    assert await registry.missing_hosts() == {}
    await registry.reap(NODE, [stream.stream_id])
    await forget(store, NODE, heard_ago_s=55)
    assert await registry.missing_hosts() == {NODE: [stream.stream_id]}
    await registry.reap(NODE, [stream.stream_id])
    await registry.reap("node-b", [stream.stream_id])
    assert (await read(store, stream)).state is State.CONNECTING
    await forget(store, NODE, heard_ago_s=61)
    await asyncio.gather(*(registry.reap(NODE, [stream.stream_id]) for _ in range(5)))
    ended = await read(store, stream)
    assert (ended.state, ended.reason) == (State.ENDED, "node_lost")
    assert [event.reason for event in await events_of(store, stream)] == ["publish_accepted", "node_lost"]
    assert await registry.missing_hosts() == {}
    with pytest.raises(StaleSession):
        await store.apply(stream.stream_id, Event.ENCODER_LOST, session_id=new_session_id(), epoch=claim.epoch)
