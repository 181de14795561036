"""A node's heartbeats: what it tells, what it hears, and Redis away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from structlog.testing import capture_logs

from ingest.membership import Membership
from streams.nodes import NodeRegistry
from streams.records import text
from streams.state import State
from streams.store import StreamStore
from tests.ingest.fakes import NODE_ID, OneStreamNode, node_of, wait_until
from tests.redis_server import RedisServer


@pytest_asyncio.fixture
async def node(store: StreamStore, tmp_path: Path) -> AsyncIterator[OneStreamNode]:
    async with node_of(store, tmp_path, reconnect_window_s=60) as running:
        yield running


def member(node: OneStreamNode) -> Membership:
    registry = NodeRegistry(node.store.redis, node.store.keys)
    url = "http://127.0.0.1:1"
    return Membership(registry, NODE_ID, url, node.broadcasts.hosted, node.broadcasts.lost, lambda _s: None)


async def delivering(node: OneStreamNode) -> str | None:
    found = await node.store.redis.hget(node.store.keys.session(node.stream.stream_id), "delivering")
    return found.decode() if isinstance(found, bytes) else found


async def test_a_silent_encoder_is_told_at_once(node: OneStreamNode) -> None:
    membership = member(node)
    encoder = await node.publish()
    await membership.start()
    assert await delivering(node) == "1"

    async def is_silent() -> bool:
        return await delivering(node) == "0"

    # Within far less than the two seconds between heartbeats.
    await wait_until(is_silent, lambda: "the silence to be told", timeout_s=1.5)
    encoder.send()
    await membership.close()
    assert await NodeRegistry(node.store.redis, node.store.keys).nodes() == []


async def test_a_session_that_moved_on_is_let_go_without_a_word(node: OneStreamNode, tmp_path: Path) -> None:
    membership = member(node)
    encoder = await node.publish()
    node.worker.goes_live()
    await node.wait_for_events("connecting", "live")
    session_dir = tmp_path / node.stream.edge_id / node.worker.session_id
    session_dir.mkdir(parents=True)
    (session_dir / "journal.jsonl").touch()
    (session_dir.parent / "current").write_text(node.worker.session_id)
    await node.store.redis.hincrby(node.store.keys.stream(node.stream.stream_id), "epoch", 1)
    written = await everything(node.store)
    await membership.start()
    assert encoder.closed == ["taken_over"]
    assert node.worker.dropped == [node.worker.session_id] and node.worker.ended == []
    assert not list(session_dir.parent.glob("**/*.jsonl")) and not (session_dir.parent / "current").exists()
    assert node.broadcasts.hosted() == []
    await membership.close()
    assert await everything(node.store) == written
    assert (await node.state()) == State.LIVE


async def everything(store: StreamStore) -> dict[bytes | str, bytes | None]:
    """All but the nodes themselves."""
    names = [key for key in await store.redis.keys("*") if "node" not in text(key)]
    return {key: await store.redis.dump(key) for key in names}


async def test_redis_may_go_away_and_come_back(server: RedisServer, node: OneStreamNode) -> None:
    membership = member(node)
    await node.publish()
    with capture_logs() as logs:
        await membership.start()
        server.stop()
        membership.wake()

        async def noticed() -> bool:
            return any(line["event"] == "heartbeat_not_sent" for line in logs)

        await wait_until(noticed, lambda: "a heartbeat to fail")
        server.start()  # without what it held: the node is there all the same, and keeps its session
        registry = NodeRegistry(node.store.redis, node.store.keys)

        async def is_there() -> bool:
            membership.wake()
            return [found.sessions for found in await registry.nodes()] == [1]

        await wait_until(is_there, lambda: "the node to be back")
        assert sum(line["event"] == "heartbeat_not_sent" for line in logs) == 1
        await asyncio.wait_for(membership.close(), 2)
