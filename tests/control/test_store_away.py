"""Redis away or hanging: 503 in less than a second, and service again as soon as it is back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from streams.connection import open_redis
from streams.store import StreamStore
from tests.control.helpers import KEY_RED, Api, Reply, serve_api
from tests.redis_server import RedisServer, redis_server


@pytest_asyncio.fixture
async def own_server() -> AsyncIterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest_asyncio.fixture
async def own_store(own_server: RedisServer) -> AsyncIterator[StreamStore]:
    redis = open_redis(own_server.url)
    store = StreamStore(redis)
    await store.add_api_key("red", KEY_RED)
    yield store
    await redis.aclose()


async def _replies(api: Api) -> list[Reply]:
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/live-streams", {"json": {"name": "show"}}),
        ("GET", "/v1/live-streams", {}),
        ("GET", "/v1/live-streams/ls_00000000000000000000000000", {}),
    ]
    replies = []
    for method, path, more in requests:
        begun_s = time.monotonic()
        replies.append(await api.request(method, path, **more))
        assert time.monotonic() - begun_s < 1.0
    return replies


def _assert_unavailable(replies: list[Reply]) -> None:
    for reply in replies:
        assert (reply.status, reply.error["code"]) == (503, "unavailable")
        assert int(reply.headers["Retry-After"]) >= 1


async def test_a_redis_that_is_away(own_server: RedisServer, own_store: StreamStore) -> None:
    async with serve_api(own_store) as api:
        assert (await api.create(name="before")).status == 201
        own_server.stop()
        _assert_unavailable(await _replies(api))
        own_server.start()
        await own_store.add_api_key("red", KEY_RED)
        assert [reply.status for reply in await _replies(api)] == [201, 200, 404]


async def test_a_redis_that_hangs(own_server: RedisServer, own_store: StreamStore) -> None:
    async with serve_api(own_store) as api:
        before = (await api.create(name="before")).body
        own_server.freeze()
        _assert_unavailable(await _replies(api))
        own_server.thaw()
        # Replies to the questions that were given up must not be taken for those to new ones.
        assert [reply.status for reply in await _replies(api)] == [201, 200, 404]
        assert (await api.get(f"/v1/live-streams/{before['streamId']}")).body["streamId"] == before["streamId"]
