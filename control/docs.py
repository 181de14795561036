"""`/openapi.json` and `/docs`, made by the first who asks: that takes a process 5 MB."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path

from aiohttp import web

from config.ladders import QUALITIES
from control.docs_page import docs_page
from control.openapi import openapi_document
from control.routing import Routes

# The page runs no script and loads nothing from elsewhere.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_STYLE = Path(__file__).parent / "pages/docs.css"


def setup_docs(root: web.Application, groups: Sequence[Routes], qualities: Sequence[str] = QUALITIES) -> None:
    """Serve the document of `groups`, for machines and for people."""
    document = cache(lambda: openapi_document(groups, qualities))
    anyone = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"}
    as_json = cache(lambda: json.dumps(document(), indent=1))
    as_page = cache(lambda: docs_page(document()))
    root.router.add_get("/openapi.json", page(as_json, "application/json", anyone))
    root.router.add_get("/docs", page(as_page, "text/html", PAGE_HEADERS))
    root.router.add_get("/docs/docs.css", fixed_page(_STYLE.read_text(), "text/css", PAGE_HEADERS))


def fixed_page(
    text: str, content_type: str, headers: dict[str, str]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler that always answers the same."""
    return page(lambda: text, content_type, headers)


def page(
    text: Callable[[], str], content_type: str, headers: dict[str, str]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler that answers with this text."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=text(), content_type=content_type, headers=headers)

    return handler
