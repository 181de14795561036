"""What answers to viewers say beside their body: in one place, for the routes and for what answers ahead of them."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE

from packager.live_sessions import LiveSession
from packager.presentation import Presentation

PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
IMMUTABLE: Final = "public, max-age=31536000, immutable"
SHORT: Final = "public, max-age=1"
NO_SUCH_FILE: Final = "no such file, or not any more"
CORS: Final[Mapping[str, str]] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, Date, Server-Timing",
}
PREFLIGHT: Final[Mapping[str, str]] = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range",
    "Access-Control-Max-Age": "86400",
}
"""What a browser that asks first wants to know; in other answers it would be so many bytes, and work for an edge."""


def blocking_age(session: LiveSession) -> str:
    """Cache-Control of the answer to a blocking request, which holds for all who ask the same."""
    return f"public, max-age={session.target_duration_s}"


def nothing_new(hold_s: float) -> str:
    """The text of the answer to a request that was held for too long."""
    return f"nothing new for {hold_s} s"


def playlist_headers(cache_control: str, *, gzipped: bool) -> dict[str, str]:
    """The headers of a playlist that are its own."""
    headers: dict[str, str] = {
        hdrs.CACHE_CONTROL: cache_control,
        hdrs.CONTENT_TYPE: PLAYLIST_TYPE,
        hdrs.VARY: "Accept-Encoding",
    }
    if gzipped:
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return headers


def playlist_body(
    session: LiveSession, key: tuple[str, bool], render: Callable[[Presentation], str], *, gzipped: bool
) -> bytes:
    """A playlist of the session as it is now: rendered once for all who ask, and compressed once."""
    known = session.rendered.get(key)
    if known is None or known[0] != session.version:
        known = session.rendered[key] = (session.version, render(session.presentation).encode(), None)
    if not gzipped:
        return known[1]
    body = known[2]
    if body is None:
        body = gzip.compress(known[1], 1, mtime=0)
        session.rendered[key] = (*known[:2], body)
    return body


def head_bytes(status: int, headers: Mapping[str, str], size_bytes: int) -> bytes:
    """The head that aiohttp and the origin's `on_response_prepare` make of these headers."""
    own = {
        **headers,
        hdrs.CONTENT_LENGTH: str(size_bytes),
        hdrs.DATE: rfc822_formatted_time(),
        hdrs.SERVER: SERVER_SOFTWARE,
    }
    lines = [f"{name}: {value}\r\n" for name, value in finished(status, own).items()]
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{''.join(lines)}\r\n".encode()


def finished(status: int, headers: Mapping[str, str]) -> dict[str, str]:
    """These headers and those that every answer has: any page may read it, and no error is cached for long."""
    return {**headers, **CORS, **({hdrs.CACHE_CONTROL: SHORT} if status >= 400 else {})}
