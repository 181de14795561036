"""What is the same in the head of every answer of an HTTP port."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

NOSNIFF: Final = ("X-Content-Type-Options", "nosniff")
_OF_MEDIA: Final = ("/live/", "/vod/")


def add_response_headers(app: web.Application) -> None:
    """Nobody hears which software answers, in which version; no browser takes data for a page."""

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.popall(hdrs.SERVER, None)
        if not request.path.startswith(_OF_MEDIA):
            response.headers.setdefault(*NOSNIFF)

    app.on_response_prepare.append(prepare)
