"""The node registry: leases, sessions that have moved on, and those that a node which is gone leaves behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from streams.errors import AlreadyPublishing, StaleSession
from streams.ids import new_session_id
from streams.model import Claim, Stream
from streams.nodes import HostedSession, Node, NodeRegistry, NodeState
from streams.state import Event, State
from streams.store import StreamStore
from tests.streams.helpers import NODE, begin, events_of, new_stream, read, session_of

OTHER = Node(node_id="node-b", url="http://10.0.0.2:8080")
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


async def resume(store: StreamStore, stream: Stream, node_id: str = "node-b") -> Claim:
    return await begin(store, stream, node_id=node_id)


async def test_a_session_whose_encoder_delivers_to_a_node_that_is_there_is_refused_elsewhere(
    store: StreamStore, registry: NodeRegistry
) -> None:
    stream, _ = await new_stream(store)
    claim = await begin(store, stream)
    await registry.heartbeat(HERE, [])  # the session may be newer than the node's last look at it
    for told in ([], [hosted(claim)]):
        await registry.heartbeat(HERE, told)
        with pytest.raises(AlreadyPublishing) as refused:
            await resume(store, stream)
        assert refused.value.node_id == NODE
    heard_s = refused.value.heard_s
    await registry.heartbeat(HERE, [hosted(claim)])
    with pytest.raises(AlreadyPublishing) as refused:
        await resume(store, stream)
    assert refused.value.heard_s > heard_s
    with pytest.raises(AlreadyPublishing):
        await resume(store, stream, NODE)


@pytest.mark.parametrize("why", ["its node is gone", "its encoder is away"])
@pytest.mark.parametrize("state", [State.CONNECTING, State.LIVE])
async def test_another_node_goes_on_with_a_session(
    store: StreamStore, registry: NodeRegistry, why: str, state: State
) -> None:
    stream, _ = await new_stream(store)
    claim = await begin(store, stream)
    session_id = session_of(claim.stream)
    if state is State.LIVE:
        await store.apply(stream.stream_id, Event.RENDITIONS_READY, session_id=session_id, epoch=claim.epoch)
    await registry.heartbeat(HERE, [hosted(claim, delivering=why == "its node is gone")])
    if why == "its node is gone":
        await forget(store, NODE, heard_ago_s=5)
    attempts = await asyncio.gather(*(resume(store, stream) for _ in range(5)), return_exceptions=True)
    (resumed,) = [attempt for attempt in attempts if isinstance(attempt, Claim)]
    now = await read(store, stream)
    assert resumed == Claim(stream=now, epoch=claim.epoch + 1, resumed=True, checkpoint="somewhere")
    assert (now.state, now.session_id, now.node_id) == (state, session_id, "node-b")
    last = (await events_of(store, stream))[-1]
    assert (last.type.value, last.reason, last.state) == ("stream.reconnected", "node_changed", state)
    # The node that had it, paused perhaps, writes nothing more.
    for event in (Event.ENCODER_LOST, Event.WINDOW_OVER, Event.RENDITIONS_READY):
        with pytest.raises(StaleSession):
            await store.apply(stream.stream_id, event, session_id=session_id, epoch=claim.epoch)
    before = await store.redis.dump(store.keys.session(stream.stream_id))
    assert (await registry.heartbeat(HERE, [hosted(claim, checkpoint="elsewhere")])).lost == {session_id}
    await registry.reap(NODE, [stream.stream_id])
    assert await store.redis.dump(store.keys.session(stream.stream_id)) == before
    assert (await registry.heartbeat(OTHER, [hosted(resumed)])).lost == frozenset()
    assert await read(store, stream) == now


async def test_a_live_session_of_which_nobody_knows_how_far_it_has_come_is_ended(
    store: StreamStore, registry: NodeRegistry
) -> None:
    stream, _ = await new_stream(store)
    claim = await begin(store, stream)
    session_id = session_of(claim.stream)
    await store.apply(stream.stream_id, Event.RENDITIONS_READY, session_id=session_id, epoch=claim.epoch)
    await registry.heartbeat(HERE, [hosted(claim, delivering=False, checkpoint="")])
    begun = await resume(store, stream)
    assert not begun.resumed and begun.stream.session_id != session_id
    reasons = [event.reason for event in await events_of(store, stream)]
    assert reasons == ["publish_accepted", "renditions_ready", "node_lost", "publish_accepted"]
