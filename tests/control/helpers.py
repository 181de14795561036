"""A client of the API, as its users write one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, web

from control.app import API_PREFIX, create_api
from control.docs import setup_docs
from control.groups import GROUPS
from control.urls import PublicUrls
from control.webhooks.policy import WebhookPolicy
from streams.api_keys import Rate
from streams.store import StreamStore

KEY_RED = "ak_red_0123456789"
KEY_BLUE = "ak_blue_0123456789"
URLS = PublicUrls(host="ingest.example", http_port=8080, rtmp_port=1935)
RECONNECT_WINDOW_S = 45
RATE = Rate(per_s=100_000.0, burst=100_000)


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers and decoded body of a response."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        """The error object; its shape is checked here, for every test."""
        assert self.headers["Content-Type"].startswith("application/json")
        assert set(self.body) == {"error"}
        error: dict[str, Any] = self.body["error"]
        assert {"code", "message"} <= set(error) <= {"code", "message", "field"}
        assert all(isinstance(value, str) and value for value in error.values())
        return error


class Api:
    """Requests to one server with one API key, unless a request says otherwise."""

    def __init__(self, session: ClientSession, base: str) -> None:
        self._session = session
        self.base = base

    async def get(self, path: str = "/v1/live-streams", **options: Any) -> Reply:
        return await self.request("GET", path, **options)

    async def create(self, **fields: Any) -> Reply:
        return await self.request("POST", "/v1/live-streams", json=fields)

    async def post(self, body: bytes, content_type: str = "application/json", **headers: str) -> Reply:
        """A body as raw bytes."""
        headers = {"Content-Type": content_type, **headers}
        return await self.request("POST", "/v1/live-streams", data=body, headers=headers)

    async def request(
        self,
        method: str,
        path: str,
        *,
        key: str | None = KEY_RED,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Reply:
        authorization = {} if key is None else {"Authorization": f"Bearer {key}"}
        all_headers = {**authorization, **(headers or {})}
        async with self._session.request(method, self.base + path, headers=all_headers, **more) as response:
            body = await response.json() if response.content_type == "application/json" else await response.text()
            return Reply(response.status, response.headers, body)


# What the document says of URLs, whatever an installation allows of them.
ANY_URL = WebhookPolicy(allow_http=True, allow_private=True)


@asynccontextmanager
async def serve_api(
    store: StreamStore, urls: PublicUrls = URLS, rate: Rate = RATE, own_key: str = ""
) -> AsyncIterator[Api]:
    """The API mounted as it is in the server."""
    root = web.Application()
    api = create_api(store, urls, reconnect_window_s=RECONNECT_WINDOW_S, rate=rate, webhooks=ANY_URL, own_key=own_key)
    root.add_subapp(API_PREFIX, api)
    setup_docs(root, GROUPS)
    runner = web.AppRunner(root)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        async with ClientSession() as session:
            yield Api(session, f"http://{host}:{port}")
    finally:
        await runner.cleanup()
