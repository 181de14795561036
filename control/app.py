"""The API as an aiohttp application, to be mounted below `/v1/`."""

from __future__ import annotations

from aiohttp import web

from control import live_streams
from control.auth import auth_middleware
from control.context import RECONNECT_WINDOW_S, STORE, URLS
from control.errors import error_middleware
from control.urls import PublicUrls
from streams.store import StreamStore

API_PREFIX = "/v1/"


def create_api(store: StreamStore, urls: PublicUrls, *, reconnect_window_s: int) -> web.Application:
    """The API below `/v1/`: `root.add_subapp(API_PREFIX, create_api(…))`. The store stays the caller's to close."""
    app = web.Application(middlewares=[error_middleware, auth_middleware])
    app[STORE] = store
    app[URLS] = urls
    app[RECONNECT_WINDOW_S] = reconnect_window_s
    app.add_routes(live_streams.routes)
    return app
