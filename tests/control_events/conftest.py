"""A real Redis server for this folder, and what runs beside it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from streams.connection import open_redis
from streams.store import StreamStore
from streams.webhook_store import WebhookStore
from tests.control_events.helpers import Clock, Receiver, receiver
from tests.redis_server import RedisServer, redis_server


@pytest.fixture(scope="package")
def server() -> Iterator[RedisServer]:
    with redis_server() as started:
        yield started


@pytest_asyncio.fixture
async def store(server: RedisServer) -> AsyncIterator[StreamStore]:
    redis = open_redis(server.url)
    yield StreamStore(redis, prefix=f"test-{secrets.token_hex(4)}:")
    await redis.aclose()


@pytest.fixture
def webhooks(store: StreamStore) -> WebhookStore:
    return WebhookStore(store.redis, store.keys.prefix)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def good() -> AsyncIterator[Receiver]:
    """A receiver that accepts everything at once."""
    async with receiver() as started:
        yield started
