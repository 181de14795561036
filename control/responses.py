"""JSON responses."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from pydantic import BaseModel


def json_response(body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """`body` as camelCase JSON; what is None is left out."""
    return json_text(body.model_dump_json(by_alias=True, exclude_none=True), status, headers)


def json_text(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON that is written already."""
    # A response may hold a stream key or a state that changes: nobody on the way keeps it.
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    return web.Response(status=status, text=text, content_type="application/json", headers=all_headers)


def no_content() -> web.Response:
    """204."""
    return web.Response(status=204, headers={"Cache-Control": "no-store"})
