"""An origin over HTTP, and the writer of what it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from antlive.http_runner import HttpRunner
from antlive.request_meter import LOGGER, RequestMeter
from packager.anywhere import SESSIONS
from packager.live_sessions import LiveSession, LiveSessions
from packager.media_files import HOT
from packager.origin import HELD, setup_origin
from tests.packager.held import Core, NewServer, Server
from tests.packager.helpers import EDGE_ID, SESSION_ID, until

MASTER = f"/live/{EDGE_ID}/master.m3u8"
BASE = f"/live/{EDGE_ID}/{SESSION_ID}"


@dataclass
class Origin:
    client: TestClient[web.Request, web.Application]
    sessions: LiveSessions

    @property
    def session(self) -> LiveSession:
        return self.sessions.get(EDGE_ID, SESSION_ID)

    async def get(self, path: str, **headers: str) -> ClientResponse:
        """The answer, its body read. `path` is taken from the session on unless it starts with a slash."""
        response = await self.client.get(
            path if path.startswith("/") else f"{BASE}/{path}", headers={"Accept-Encoding": "identity", **headers}
        )
        await response.read()
        return response

    async def held(self, count: int = 1) -> None:
        """Until so many requests wait."""
        await until(lambda: self.session.held_requests == count)


NewOrigin = Callable[..., Awaitable[Origin]]


@pytest.fixture
async def new_origin(tmp_path: Path) -> AsyncIterator[NewOrigin]:
    async with AsyncExitStack() as stack:

        async def create(hold_target_durations: float = 3) -> Origin:
            app = web.Application()
            setup_origin(app, tmp_path, hold_target_durations=hold_target_durations)
            client = await stack.enter_async_context(TestClient(TestServer(app), auto_decompress=False))
            return Origin(client, app[SESSIONS])

        yield create


@pytest.fixture
async def origin(new_origin: NewOrigin) -> Origin:
    return await new_origin()


@pytest.fixture
async def new_server(tmp_path: Path) -> AsyncIterator[NewServer]:
    async with AsyncExitStack() as stack:

        async def create(hold_target_durations: float = 3, idle_s: float = 75) -> Server:
            app = web.Application()
            setup_origin(app, tmp_path, hold_target_durations=hold_target_durations)
            meter = RequestMeter()
            app[HELD].on_answers = meter.count_held
            runner = HttpRunner(
                app,
                app[HOT].answer,
                app[HELD].ask,
                access_log=LOGGER,
                access_log_class=meter.access_logger(),
                handler_cancellation=True,
                shutdown_timeout=0.5,
                keepalive_timeout=idle_s,
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return Server(runner, app, meter)

        yield create


@pytest.fixture
def core(tmp_path: Path) -> Core:
    return Core(tmp_path)
