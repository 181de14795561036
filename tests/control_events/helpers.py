"""Receivers of webhooks, a clock that is set by hand, and streams that have events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from control.event_service import EventService
from control.webhooks.dispatcher import Backoff, Shares
from control.webhooks.policy import WebhookPolicy
from control.webhooks.signing import new_secret
from streams.ids import new_webhook_id
from streams.model import Stream
from streams.state import Event
from streams.store import StreamStore
from streams.webhook_model import Webhook
from streams.webhook_store import WebhookStore
from tests.streams.helpers import begin, new_stream, session_of

ENV = "red"
OPEN_POLICY = WebhookPolicy(allow_http=True, allow_private=True)
WAIT_S = 20.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds. Raises `TimeoutError`."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 (the condition is no event of ours)
            await asyncio.sleep(0.005)


async def until_answers(condition: Callable[[], Awaitable[bool]]) -> None:
    """The same for a condition that asks somebody."""
    async with asyncio.timeout(WAIT_S):
        while not await condition():  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.005)


class Clock:
    """Milliseconds since 1970, put forward by hand."""

    def __init__(self) -> None:
        self.now_ms = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)


@dataclass(frozen=True, slots=True)
class Received:
    """One request that a receiver got."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass(slots=True)
class Receiver:
    """An HTTP server. `statuses` are answered one after the other, then 204; while `held` nothing is answered."""

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    always: int | None = None
    is_held: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(Received(dict(request.headers), await request.read()))
        if self.is_held:
            await self.released.wait()
        status = self.always or (self.statuses.pop(0) if self.statuses else 204)
        return web.Response(status=status, headers=self.headers)

    def seqs(self, stream: Stream) -> list[int]:
        """The numbers of a stream's events as they came."""
        events = [request.event for request in self.requests]
        return [event["seq"] for event in events if event["streamId"] == stream.stream_id]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A started receiver on a port of its own."""
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield made
    finally:
        made.released.set()
        await runner.cleanup()


@asynccontextmanager
async def running(
    store: StreamStore,
    clock: Clock,
    *,
    policy: WebhookPolicy = OPEN_POLICY,
    timeout_s: float = 10.0,
    lease_ms: int = 5000,
    shares: Shares | None = None,
) -> AsyncIterator[EventService]:
    """A service that leads, with retries after exactly 10, 20, 40, … seconds of the clock."""
    service = EventService(
        store.redis,
        store.keys.prefix,
        policy,
        clock_ms=clock,
        timeout_s=timeout_s,
        lease_ms=lease_ms,
        backoff=Backoff(first_s=10.0, most_s=3600.0, random=lambda: 0.0),
        shares=shares,
    )
    task = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def add_webhook(store: WebhookStore, url: str, *, env: str = ENV, types: tuple[str, ...] = ()) -> Webhook:
    webhook = Webhook(
        webhook_id=new_webhook_id(),
        env=env,
        url=url,
        event_types=types,
        enabled=True,
        description="",
        created_ms=time.time_ns() // 1_000_000,
        secret=new_secret(),
    )
    await store.add(webhook)
    return webhook


async def add_stream(store: StreamStore, env: str = ENV) -> Stream:
    """A new stream, and so an event with seq 1."""
    stream, _ = await new_stream(store, env)
    return stream


async def go_live_and_end(store: StreamStore, stream: Stream) -> None:
    """A session: three more events."""
    claim = await begin(store, stream)
    for event in (Event.RENDITIONS_READY, Event.WINDOW_OVER):
        await store.apply(stream.stream_id, event, session_id=session_of(claim.stream), epoch=claim.epoch)
