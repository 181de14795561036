"""`/player/{edgeId}`: a page that plays a stream with hls.js and shows what a video engineer wants to know.

`/player/{recordingId}` plays a recording, with thumbnails on its seek bar.
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

_PAGE_DIR: Final = Path(__file__).parent / "player"
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'{media}; "
    "media-src 'self' blob:{media}; worker-src 'self' blob:; img-src 'self' data:{media}; "
    "base-uri 'none'; form-action 'none'"
)


def setup_player(
    app: web.Application,
    hls_js_file: Path,
    media_origin: str = "",
    has_recording: Callable[[str], Awaitable[bool]] | None = None,
) -> None:
    """Serve the page and its files. Raises `FileNotFoundError` when hls.js is not installed.

    `media_origin` is where recorded media may be redirected to. Of a recording that is not there the page is a 404.
    """
    page_headers: dict[str, str] = {
        hdrs.CACHE_CONTROL: "no-cache",
        "Content-Security-Policy": _CONTENT_SECURITY_POLICY.format(media=media_origin and f" {media_origin}"),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    page = _serve(_PAGE_DIR / "index.html", "text/html", page_headers)
    recording = _serve(_PAGE_DIR / "recording.html", "text/html", page_headers)
    file_headers: dict[str, str] = {hdrs.CACHE_CONTROL: "public, max-age=300", "X-Content-Type-Options": "nosniff"}
    app.router.add_get("/player/static/hls.js", _serve(hls_js_file, "text/javascript", file_headers))
    app.router.add_get("/player/static/player.js", _serve(_PAGE_DIR / "player.js", "text/javascript", file_headers))
    app.router.add_get("/player/static/player.css", _serve(_PAGE_DIR / "player.css", "text/css", file_headers))
    recording_js = _serve(_PAGE_DIR / "recording.js", "text/javascript", file_headers)
    app.router.add_get("/player/static/recording.js", recording_js)

    async def recording_page(request: web.Request) -> web.Response:
        answer = await recording(request)
        if has_recording is not None and not await has_recording(request.match_info["recording_id"]):
            answer.set_status(404)  # with the page, which says so to people
        return answer

    app.router.add_get(r"/player/{recording_id:rec_[0-9a-z]{26}}", recording_page)
    app.router.add_get(r"/player/{edge_id:lse_[0-9a-z]{26}}", page)


def _serve(file: Path, kind: str, headers: dict[str, str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler for one file, read and compressed once: hls.js alone has 600 kB."""
    plain = file.read_bytes()
    gzipped = gzip.compress(plain, mtime=0)
    headers = {**headers, hdrs.CONTENT_TYPE: f"{kind}; charset=utf-8", hdrs.VARY: hdrs.ACCEPT_ENCODING}

    async def handler(request: web.Request) -> web.Response:
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            return web.Response(body=gzipped, headers={**headers, hdrs.CONTENT_ENCODING: "gzip"})
        return web.Response(body=plain, headers=headers)

    return handler
