"""A real Redis server for this folder; a node's broadcasts with workers that do what the test says."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from streams.connection import open_redis
from streams.store import StreamStore
from tests.redis_server import RedisServer, redis_server


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of each test's own, which may be stopped."""
    with redis_server() as started:
        yield started


@pytest_asyncio.fixture
async def store(server: RedisServer) -> AsyncIterator[StreamStore]:
    redis = open_redis(server.url, timeout_s=0.3)
    yield StreamStore(redis, prefix=f"test-{secrets.token_hex(4)}:")
    await redis.aclose()
