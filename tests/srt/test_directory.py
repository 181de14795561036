"""The directory follows a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from ingest.srt.directory import KeyDirectory, Verdict
from ingest.srt.directory_follower import DirectoryFollower
from streams.connection import open_redis
from streams.ids import key_hash, new_session_id
from streams.model import Stream
from streams.state import Event
from streams.store import StreamStore
from tests.redis.servers import free_port
from tests.redis_server import RedisServer, redis_server


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


class Following:
    """A store and a directory that follows it."""

    def __init__(self, store: StreamStore, directory: KeyDirectory, follower: DirectoryFollower) -> None:
        self.store = store
        self.directory = directory
        self.follower = follower

    async def create(self) -> tuple[Stream, str]:
        stream, key = await self.store.create(
            env="default", name="x", quality="standard", low_latency=True, recording=False, reconnect_window_s=60
        )
        return stream, key_hash(key)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 (what changes lies in Redis)
                await asyncio.sleep(0.005)


@asynccontextmanager
async def following(server: RedisServer, url: str = "") -> AsyncIterator[Following]:
    redis = open_redis(url or server.url)
    store = StreamStore(redis)
    directory = KeyDirectory("node_here", lambda _: False)
    follower = DirectoryFollower(store, directory)
    try:
        yield Following(store, directory, follower)
    finally:
        await follower.close()
        await redis.aclose()


async def test_what_was_there_before_is_known(server: RedisServer) -> None:
    async with following(server) as node:
        hashes = [(await node.create())[1] for _ in range(20)]
        assert {node.directory.verdict(hashed) for hashed in hashes} == {Verdict.UNSURE}
        node.follower.start()
        await asyncio.wait_for(node.follower.ready.wait(), 10)
        assert {node.directory.verdict(hashed) for hashed in hashes} == {Verdict.MAY_PUBLISH}
        assert node.directory.verdict(key_hash("sk_none")) is Verdict.WRONG_KEY


async def test_a_server_on_tcp_is_followed(server: RedisServer) -> None:
    port = free_port()
    async with following(server, f"redis://127.0.0.1:{port}/0") as node, following(server) as local:
        await local.store.redis.config_set("port", port)
        node.follower.start()
        await asyncio.wait_for(node.follower.ready.wait(), 10)
        assert node.directory.verdict(key_hash("sk_none")) is Verdict.WRONG_KEY


async def test_new_and_deleted_keys_and_sessions_elsewhere_are_noticed(server: RedisServer) -> None:
    async with following(server) as node:
        node.follower.start()
        await asyncio.wait_for(node.follower.ready.wait(), 10)
        stream, hashed = await node.create()
        await node.until(lambda: node.directory.verdict(hashed) is Verdict.MAY_PUBLISH)
        session_id = new_session_id()
        claim = await node.store.begin_session(
            stream.stream_id, key_hash=hashed, session_id=session_id, node_id="node_there"
        )
        await node.until(lambda: node.directory.verdict(hashed) is Verdict.UNSURE)
        await node.store.apply(stream.stream_id, Event.WINDOW_OVER, session_id=session_id, epoch=claim.epoch)
        await node.until(lambda: node.directory.verdict(hashed) is Verdict.MAY_PUBLISH)
        await node.store.redis.delete(node.store.keys.key(hashed))
        await node.until(lambda: node.directory.verdict(hashed) is Verdict.WRONG_KEY)


async def test_while_redis_is_away_the_directory_is_unsure_and_then_it_follows_again(server: RedisServer) -> None:
    async with following(server) as node:
        _, old = await node.create()
        node.follower.start()
        await asyncio.wait_for(node.follower.ready.wait(), 10)
        server.stop()
        await node.until(lambda: node.directory.verdict(old) is Verdict.UNSURE)
        server.start()
        await asyncio.wait_for(node.follower.ready.wait(), 10)
        assert node.directory.verdict(old) is Verdict.WRONG_KEY  # this server keeps nothing over a restart
        _, new = await node.create()
        await node.until(lambda: node.directory.verdict(new) is Verdict.MAY_PUBLISH)


async def test_a_flush_is_noticed(server: RedisServer) -> None:
    async with following(server) as node:
        _, hashed = await node.create()
        node.follower.start()
        await asyncio.wait_for(node.follower.ready.wait(), 10)
        await node.store.redis.flushall()
        await node.until(lambda: node.directory.verdict(hashed) is Verdict.WRONG_KEY)
