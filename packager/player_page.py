"""`/player/{edgeId}`: a page that plays a stream with hls.js and shows what a video engineer wants to know."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

_PAGE_DIR: Final = Path(__file__).parent / "player"
_FILES: Final = {"player.js": "text/javascript", "player.css": "text/css"}
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self' blob:; "
    "worker-src 'self' blob:; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)


def setup_player(app: web.Application, hls_js_file: Path) -> None:
    """Serve the page and its files. Raises `FileNotFoundError` when hls.js is not installed."""
    page = (_PAGE_DIR / "index.html").read_bytes()
    hls_js = hls_js_file.read_bytes()

    async def index(request: web.Request) -> web.Response:
        headers = {
            hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
            hdrs.CACHE_CONTROL: "no-cache",
            "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(body=page, headers=headers)

    async def static(request: web.Request) -> web.Response:
        name = request.match_info["file"]
        body = hls_js if name == "hls.js" else (_PAGE_DIR / name).read_bytes()
        kind = _FILES.get(name, "text/javascript")
        headers = {hdrs.CONTENT_TYPE: f"{kind}; charset=utf-8", hdrs.CACHE_CONTROL: "public, max-age=300"}
        return web.Response(body=body, headers=headers)

    app.router.add_get(r"/player/static/{file:hls\.js|player\.js|player\.css}", static)
    app.router.add_get(r"/player/{edge_id:lse_[0-9a-z]{26}}", index)
