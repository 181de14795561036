"""The console at `/`: a page of plain modules that talks to the API like everybody else."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

from control.docs import fixed_page

_DIRECTORY: Final = Path(__file__).parent / "console"
_KINDS: Final = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
# The player may be framed: it is the same host unless origin is a node of its own, and then the console links to it.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def setup_console(root: web.Application) -> None:
    """Serve the page at `/` and its files below `/console/`."""
    for file in sorted(_DIRECTORY.iterdir()):
        path = "/" if file.name == "index.html" else f"/console/{file.name}"
        root.router.add_get(path, fixed_page(file.read_text(), _KINDS[file.suffix], _HEADERS))
