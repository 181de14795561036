"""What every handler of the API works with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from control.errors import unavailable
from control.urls import PublicUrls
from streams.api_keys import Caller, Quota, Rate
from streams.recordings import RecordingStore
from streams.store import StreamStore

log = structlog.get_logger()

STORE: Final = web.AppKey("store", StreamStore)
RECORDINGS: Final = web.AppKey("recordings", RecordingStore)
URLS: Final = web.AppKey("urls", PublicUrls)
RECONNECT_WINDOW_S: Final = web.AppKey("reconnect_window_s", int)
QUALITIES_OF_NODE: Final = web.AppKey("qualities", tuple[str, ...])
"""The qualities that a stream may have here."""
RATE: Final = web.AppKey("rate", Rate)
OWN_KEY: Final = web.AppKey("own_key", str)
"""The API key of environment `default` that this process was given; empty for none."""

CALLER: Final = web.RequestKey("caller", Caller)
ENVIRONMENT: Final = web.RequestKey("environment", str)
QUOTA: Final = web.RequestKey("quota", Quota)

STORE_DEADLINE_S: Final = 0.8


@asynccontextmanager
async def store_deadline() -> AsyncIterator[None]:
    """Bounds the wait for a store that hangs, so that the client hears 503 in less than a second."""
    try:
        async with asyncio.timeout(STORE_DEADLINE_S):
            yield
    except TimeoutError:
        log.warning("store_does_not_answer", deadline_s=STORE_DEADLINE_S)
        raise unavailable() from None
