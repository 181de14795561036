"""The API on a real port with a real Redis behind it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from streams.connection import open_redis
from streams.store import StreamStore
from tests.control.helpers import KEY_BLUE, KEY_RED, Api, serve_api
from tests.redis_server import RedisServer, redis_server


@pytest.fixture(scope="package")
def server() -> Iterator[RedisServer]:
    with redis_server() as started:
        yield started


@pytest_asyncio.fixture
async def store(server: RedisServer) -> AsyncIterator[StreamStore]:
    redis = open_redis(server.url)
    store = StreamStore(redis, prefix=f"test-{secrets.token_hex(4)}:")
    await store.add_api_key("red", KEY_RED)
    await store.add_api_key("blue", KEY_BLUE)
    yield store
    await redis.aclose()


@pytest_asyncio.fixture
async def api(store: StreamStore) -> AsyncIterator[Api]:
    async with serve_api(store) as served:
        yield served
