"""A session goes from one node to another, and back. Two nodes, one Redis, workers that do what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio

from config.session import Checkpoint, encode_message
from config.settings import Settings
from ingest.admission import PublishRefused, Refusal
from ingest.broadcasts import Broadcasts
from ingest.drain import Drain
from ingest.event_follower import EventFollower
from ingest.membership import Membership
from ingest.workers import WORKER_DIED, WorkerPool
from streams.nodes import NodeRegistry
from streams.store import StreamStore
from tests.ingest.fakes import QUICK, FakeConnection, FakePool, OneStreamNode, new_stream, wait_until


@dataclass
class Member:
    """A node with all that keeps it one of several."""

    node: OneStreamNode
    membership: Membership
    media_dir: Path

    def checkpoint(self, next_msn: int) -> Checkpoint:
        """Let its worker report one."""
        checkpoint = Checkpoint(
            session_id=self.node.worker.session_id,
            session={"session": "record"},
            next_msn=next_msn,
            media_s=next_msn * 2.0,
            discontinuities=0,
            inits=1,
            at_s=0.0,
        )
        self.node.worker.reports[checkpoint.session_id](checkpoint)
        return checkpoint

    def session_dir(self) -> Path:
        return self.media_dir / self.node.stream.edge_id / self.node.worker.session_id

    def publish_files(self) -> None:
        """As its worker does."""
        self.session_dir().mkdir(parents=True, exist_ok=True)
        (self.session_dir() / "journal.jsonl").touch()

    def drain(self) -> Drain:
        """A way to drain it."""
        registry = NodeRegistry(self.node.store.redis, self.node.store.keys)
        node_id = self.media_dir.name
        return Drain(self.node.broadcasts, self.membership, registry, node_id, lambda: None)


@pytest_asyncio.fixture
async def members(store: StreamStore, tmp_path: Path) -> AsyncIterator[tuple[Member, Member]]:
    stream, key = await new_stream(store, reconnect_window_s=60)
    async with AsyncExitStack() as stack:
        found = []
        for name in ("a", "b"):
            pool, settings = FakePool(), Settings(media_dir=tmp_path / name, ended_retention_s=0)
            broadcasts = Broadcasts(store, cast(WorkerPool, pool), settings, QUICK, name)
            registry = NodeRegistry(store.redis, store.keys)
            membership = Membership(registry, name, "", broadcasts.hosted, broadcasts.lost, lambda _s: None)
            broadcasts.on_moved = membership.wake
            stack.push_async_callback(membership.close)
            stack.push_async_callback(broadcasts.close)
            events = EventFollower(store, broadcasts.stream_event)
            await events.start()
            stack.push_async_callback(events.close)
            await membership.start()
            found.append(Member(OneStreamNode(store, pool, broadcasts, stream, key), membership, tmp_path / name))
        yield found[0], found[1]


async def until_let_go(member: Member, times: int) -> None:
    async def happened() -> bool:
        return sum(len(worker.dropped) for worker in member.node.pool.workers) == times

    await wait_until(happened, lambda: "the session to be let go", timeout_s=1.5)


async def until_told(store: StreamStore, member: Member, name: str, value: bytes) -> None:
    async def told() -> bool:
        return await store.redis.hget(store.keys.session(member.node.stream.stream_id), name) == value

    await wait_until(told, lambda: f"{name} to be told")


async def test_a_session_goes_to_another_node_and_back(store: StreamStore, members: tuple[Member, Member]) -> None:
    a, b = members
    first = await a.node.publish()
    a.node.worker.goes_live()
    checkpoint = a.checkpoint(next_msn=7)
    a.publish_files()
    await a.node.wait_for_events("connecting", "live")
    first.leave("peer_lost")
    second = await b.node.publish()
    assert b.node.worker.session_id == a.node.worker.session_id
    assert b.node.worker.checkpoints == [checkpoint]
    # Its node hears of it long before its next heartbeat.
    await until_let_go(a, 1)
    assert not (a.session_dir() / "journal.jsonl").exists() and a.node.worker.ended == []
    assert a.node.broadcasts.hosted() == []
    b.node.worker.goes_live()  # as it is already: there is nothing to tell

    last = b.checkpoint(next_msn=11)
    b.membership.wake()
    await until_told(store, b, "checkpoint", encode_message(last))
    b.publish_files()
    a.publish_files()
    second.leave("peer_lost")
    third = await a.node.publish()
    assert a.node.worker.session_id == b.node.worker.session_id
    assert a.node.worker.checkpoints == [last]
    assert not (a.session_dir() / "journal.jsonl").exists(), "what it left here would mislead the worker"
    await until_let_go(b, 1)
    third.leave()
    events = await a.node.wait_for_events(
        "connecting", "live", "disconnected", "reconnected", "disconnected", "reconnected", "disconnected"
    )
    assert [event.reason for event in events[3::2]] == ["node_changed", "node_changed"]
    assert len({event.session_id for event in events}) == 1


async def test_while_one_encoder_delivers_another_is_refused_on_every_node(members: tuple[Member, Member]) -> None:
    a, b = members
    first = await a.node.publish()
    sending = asyncio.create_task(keep_sending(first))
    with pytest.raises(PublishRefused) as refused:
        await b.node.publish()
    assert refused.value.refusal is Refusal.ALREADY_PUBLISHING
    assert not sending.done() and first.closed == []
    # A silent one is not waited for.
    sending.cancel()
    await b.node.publish()
    await until_let_go(a, 1)
    assert first.closed == ["taken_over"]


async def keep_sending(connection: FakeConnection) -> None:
    while True:
        connection.send()
        await asyncio.sleep(QUICK.takeover_silence_s / 3)


async def test_a_worker_that_dies_before_its_first_checkpoint_here_does_not_start_over(
    members: tuple[Member, Member],
) -> None:
    a, b = members
    first = await a.node.publish()
    a.node.worker.goes_live()
    checkpoint = a.checkpoint(next_msn=7)
    first.leave()
    await b.node.publish()
    b.node.worker.fails(WORKER_DIED)

    async def replaced() -> bool:
        return len(b.node.pool.workers) == 2 and bool(b.node.worker.checkpoints)

    await wait_until(replaced, lambda: "another worker")
    assert b.node.worker.checkpoints == [checkpoint]


async def test_a_checkpoint_that_nobody_understands_ends_the_session(
    store: StreamStore, members: tuple[Member, Member]
) -> None:
    a, b = members
    first = await a.node.publish()
    a.node.worker.goes_live()
    a.checkpoint(next_msn=7)
    first.leave()
    await until_told(store, a, "delivering", b"0")
    await store.redis.hset(store.keys.session(a.node.stream.stream_id), "checkpoint", '{"type": "live"}')
    with pytest.raises(PublishRefused) as refused:
        await b.node.publish()
    assert refused.value.refusal is Refusal.TRY_AGAIN
    await b.node.publish()
    events = await b.node.wait_for_events("connecting", "live", "disconnected", "reconnected", "ended", "connecting")
    assert events[4].reason == "checkpoint_not_understood"


async def test_a_node_that_drains_hands_its_sessions_over(members: tuple[Member, Member]) -> None:
    a, b = members
    first = await a.node.publish()
    a.node.worker.goes_live()
    drain = a.drain()
    drain.begin(limit_s=30)
    with pytest.raises(PublishRefused) as refused:
        await a.node.publish()
    assert refused.value.refusal is Refusal.TRY_AGAIN
    # Nobody could go on with it before its first checkpoint.
    sending = asyncio.create_task(keep_sending(first))
    await asyncio.wait((sending,), timeout=0.6)
    assert first.closed == []
    checkpoint = a.checkpoint(next_msn=3)

    async def cut() -> bool:
        return first.closed == ["drain"]

    await wait_until(cut, lambda: "the encoder to be sent away")
    sending.cancel()
    await b.node.publish()
    assert b.node.worker.checkpoints == [checkpoint]
    await asyncio.wait_for(drain.done(), 5)
    assert a.node.broadcasts.hosted() == []
    events = await b.node.wait_for_events("connecting", "live", "disconnected", "reconnected")
    assert events[2].reason == "drain"


async def test_without_another_node_a_drain_waits_for_the_streams_to_end(members: tuple[Member, Member]) -> None:
    a, b = members
    await b.membership.close()
    first = await a.node.publish()
    drain = a.drain()
    drain.begin(limit_s=0.6)
    await asyncio.wait_for(drain.done(), 5)
    assert first.closed == [] and len(a.node.broadcasts.hosted()) == 1
    await a.node.broadcasts.close()
    assert (await a.node.wait_for_events("connecting", "ended"))[1].reason == "node_stopped"


async def test_what_is_not_handed_over_in_time_is_left_to_whoever_gets_its_encoder(
    members: tuple[Member, Member],
) -> None:
    a, b = members
    await a.node.publish()
    a.node.worker.goes_live()
    checkpoint = a.checkpoint(next_msn=3)
    drain = a.drain()
    drain.begin(limit_s=0.4)
    await asyncio.wait_for(drain.done(), 5)
    await a.membership.tell()
    await a.node.broadcasts.close()
    await a.membership.close()
    assert a.node.worker.dropped and not a.node.worker.ended
    await b.node.publish()
    assert b.node.worker.checkpoints == [checkpoint]
    await b.node.wait_for_events("connecting", "live", "disconnected", "reconnected")
