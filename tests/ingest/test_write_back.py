"""A Redis that has lost its data while sessions run: their node writes them back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from ingest.membership import Membership
from ingest.write_back import UNKNOWN_S, WriteBack
from streams.model import Stream
from streams.nodes import NodeRegistry
from streams.state import EventType, State
from streams.store import StreamStore
from tests.ingest.fakes import NODE_ID, OneStreamNode, node_of


@pytest_asyncio.fixture
async def node(store: StreamStore, tmp_path: Path) -> AsyncIterator[OneStreamNode]:
    async with node_of(store, tmp_path, reconnect_window_s=60) as running:
        yield running


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def member(node: OneStreamNode, clock: Clock) -> Membership:
    registry = NodeRegistry(node.store.redis, node.store.keys)
    on_unknown = WriteBack(registry, node.broadcasts.all, clock).look
    hosted, lost = node.broadcasts.hosted, node.broadcasts.lost
    return Membership(registry, NODE_ID, "", hosted, lost, lambda _s: None, on_unknown=on_unknown)


async def lose_everything(store: StreamStore) -> None:
    await store.redis.delete(*await store.redis.keys(f"{store.keys.prefix}*"))


async def found(node: OneStreamNode) -> Stream | None:
    return await node.store.get(node.stream.env, node.stream.stream_id)


async def test_a_live_session_comes_back_with_all_that_leads_to_it_and_can_be_ended(node: OneStreamNode) -> None:
    clock = Clock()
    membership = member(node, clock)
    encoder = await node.publish()
    node.worker.goes_live()
    for event in await node.wait_for_events("connecting", "live"):
        node.broadcasts.stream_event(event)
    before = await found(node)
    assert before is not None and before.state is State.LIVE
    page = await node.store.list(before.env, limit=10, state=State.LIVE)
    await membership.start()
    await lose_everything(node.store)
    await membership.tell()
    clock.now_s = UNKNOWN_S - 0.1
    await membership.tell()
    assert await found(node) is None
    clock.now_s = UNKNOWN_S
    await membership.tell()
    await membership.tell()
    written = replace(before, seq=before.seq + 1, reason="written_back")
    assert await found(node) == written
    assert await node.store.find_by_key(before.key_hash) == await node.store.find_by_edge(before.edge_id) == written
    assert await node.store.list(before.env, limit=10, state=State.LIVE) == replace(page, streams=(written,))
    assert [session.session_id for session in await node.store.sessions_of_node(NODE_ID)] == [node.worker.session_id]
    (said,) = await node.events()
    assert (said.type, said.seq, said.reason) == (EventType.LIVE, before.seq + 1, "written_back")
    assert encoder.closed == [] and node.worker.ended == []
    await node.store.changes.end_session(before.env, before.stream_id)
    node.broadcasts.stream_event((await node.events())[-1])
    assert encoder.closed == ["ended_by_api"] and node.broadcasts.hosted() == []
    await membership.close()


async def test_one_that_waits_for_its_encoder_is_written_back_as_that(node: OneStreamNode) -> None:
    clock = Clock()
    membership = member(node, clock)
    encoder = await node.publish()
    await node.wait_for_events("connecting")
    await lose_everything(node.store)
    encoder.leave("eof")
    await membership.tell()
    clock.now_s = UNKNOWN_S
    await membership.tell()
    (event,) = await node.events()
    assert (event.type, event.state) == (EventType.DISCONNECTED, State.CONNECTING)
    await node.publish()
    await node.broadcasts.all()[0].transitions.idle()
    assert [event.type for event in await node.events()] == [EventType.DISCONNECTED, EventType.RECONNECTED]


async def test_a_stream_that_is_known_again_is_not_written_over(node: OneStreamNode) -> None:
    clock = Clock()
    registry = NodeRegistry(node.store.redis, node.store.keys)
    write_back = WriteBack(registry, node.broadcasts.all, clock)
    await node.publish()
    await node.wait_for_events("connecting")
    before = await found(node)
    session_id = node.worker.session_id
    await write_back.look({session_id})
    clock.now_s = UNKNOWN_S - 1
    await write_back.look(set())  # known in between: the time begins anew
    clock.now_s = UNKNOWN_S
    await write_back.look({session_id})
    clock.now_s = 3 * UNKNOWN_S
    await write_back.look({session_id})
    assert await found(node) == before


async def test_a_claim_that_a_new_master_never_got_is_written_back_over_the_session_before(node: OneStreamNode) -> None:
    clock = Clock()
    membership = member(node, clock)
    encoder = await node.publish()
    node.broadcasts.all()[0].end("clean_stop")
    await node.wait_for_events("connecting", "ended")
    dumped = {
        key: await node.store.redis.dump(key) for key in await node.store.redis.keys(f"{node.store.keys.prefix}*")
    }
    encoder = await node.publish()
    node.worker.goes_live()
    await node.wait_for_events("connecting", "ended", "connecting", "live")
    before = await found(node)
    assert before is not None
    await lose_everything(node.store)
    for key, value in dumped.items():
        assert value is not None
        await node.store.redis.restore(key, 0, value)
    for now_s in (0, UNKNOWN_S):
        clock.now_s = now_s
        await membership.tell()
    written = await found(node)
    assert written is not None and encoder.closed == []
    assert replace(written, seq=before.seq, reason=before.reason) == before
    for state, total in ((None, 1), (State.LIVE, 1), (State.ENDED, 0)):
        assert (await node.store.list(before.env, limit=10, state=state)).total == total
