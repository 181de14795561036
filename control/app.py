"""The API as an aiohttp application, to be mounted below `/v1/`, and its document beside it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from config.ladders import QUALITIES
from config.settings import Settings
from control.auth import auth_middleware
from control.console_page import setup_console
from control.context import OWN_KEY, QUALITIES_OF_NODE, RATE, RECONNECT_WINDOW_S, RECORDINGS, STORE, URLS
from control.docs import setup_docs
from control.errors import error_middleware
from control.event_stream import add_event_stream
from control.groups import GROUPS
from control.rate_limit import add_rate_headers
from control.urls import PublicUrls
from control.webhooks.policy import WebhookPolicy, webhook_policy
from control.webhooks.webhooks import add_webhooks
from streams.api_keys import Rate
from streams.recordings import RecordingStore
from streams.store import StreamStore

API_PREFIX = "/v1/"
DEFAULT_RATE: Final = Rate(per_s=100.0, burst=200)
DEFAULT_WEBHOOKS: Final = WebhookPolicy()


def setup_control(
    root: web.Application, settings: Settings, store: StreamStore, urls: PublicUrls, own_key: str = ""
) -> None:
    """Everything that the control plane serves, into the application of a process. The store stays the caller's.

    `own_key` is the API key of environment `default` that this process was given, and has put into the store.
    """
    rate = Rate(per_s=settings.api_requests_per_s, burst=settings.api_burst)
    api = create_api(
        store,
        urls,
        reconnect_window_s=settings.reconnect_window_s,
        rate=rate,
        webhooks=webhook_policy(settings),
        qualities=settings.qualities,
        own_key=own_key,
    )
    root.add_subapp(API_PREFIX, api)
    setup_docs(root, GROUPS, settings.qualities)
    setup_console(root)


def create_api(
    store: StreamStore,
    urls: PublicUrls,
    *,
    reconnect_window_s: int,
    rate: Rate = DEFAULT_RATE,
    webhooks: WebhookPolicy = DEFAULT_WEBHOOKS,
    qualities: tuple[str, ...] = QUALITIES,
    own_key: str = "",
) -> web.Application:
    """The API below `/v1/`: `root.add_subapp(API_PREFIX, create_api(…))`. The store stays the caller's to close."""
    app = web.Application(middlewares=[error_middleware, auth_middleware])
    app[STORE] = store
    app[RECORDINGS] = RecordingStore(store.redis, store.keys)
    app[URLS] = urls
    app[RECONNECT_WINDOW_S] = reconnect_window_s
    app[RATE] = rate
    app[OWN_KEY] = own_key
    app[QUALITIES_OF_NODE] = qualities
    app.on_response_prepare.append(add_rate_headers)
    add_event_stream(app, store)
    add_webhooks(app, store, webhooks)
    for group in GROUPS:
        group.add_to(app)
    return app
