"""The origin: playlists, parts and segments over HTTP, and the requests that wait for the next of them.

Playlists are rendered from the journal; media files are served as they lie in the media directory.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from packager.directives import BadDirective, check_reachable, is_satisfied, parse_directives
from packager.live_sessions import LiveSession, LiveSessions, SessionGone
from packager.playlists import MEDIA_PLAYLIST, media_playlist, multivariant_playlist
from packager.presentation import Presentation

PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
_VIDEO_TYPE: Final = "video/mp4"
_AUDIO_TYPE: Final = "audio/mp4"
_HOLD_TARGET_DURATIONS = 3
_IMMUTABLE = "public, max-age=31536000, immutable"
_SHORT = "public, max-age=1"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, Date, Server-Timing",
    "Access-Control-Max-Age": "86400",
}
_EDGE = r"{edge_id:lse_[0-9a-z]{26}}"
_SESSION = r"{session_id:se_[0-9a-z]{26}}"
_RENDITION = r"{rendition:[0-9a-z]{1,16}}"
_FILE = r"{file:init-\d{1,9}\.mp4|\d{1,12}(?:\.\d{1,6})?\.m4s}"
_PART = re.compile(r"(\d+)\.(\d+)\.m4s")

SESSIONS: Final = web.AppKey("live_sessions", LiveSessions)


def setup_origin(app: web.Application, media_dir: Path) -> None:
    """Serve `/live/…` from this media directory."""
    app[SESSIONS] = LiveSessions(media_dir)
    app.cleanup_ctx.append(_watch)
    master = rf"/live/{_EDGE}/master.m3u8"
    playlist = rf"/live/{_EDGE}/{_SESSION}/{_RENDITION}/{MEDIA_PLAYLIST}"
    media = rf"/live/{_EDGE}/{_SESSION}/{_RENDITION}/{_FILE}"
    app.router.add_get(master, _multivariant)
    app.router.add_get(playlist, _media_playlist)
    app.router.add_get(media, _media_file)
    app.router.add_route(hdrs.METH_OPTIONS, "/live/{path:.*}", _preflight)
    app.router.add_get("/live/{path:.*}", _unknown)


async def _watch(app: web.Application) -> AsyncIterator[None]:
    app[SESSIONS].start()
    yield
    app[SESSIONS].close()


async def _multivariant(request: web.Request) -> web.Response:
    try:
        session = request.app[SESSIONS].current(request.match_info["edge_id"])
    except SessionGone:
        return _error(404, "no such live stream now")
    return _playlist(request, session, ("", False), multivariant_playlist, _SHORT)


async def _media_playlist(request: web.Request) -> web.Response:
    name = request.match_info["rendition"]
    try:
        session = _session(request)
    except SessionGone:
        return _error(404, "no such session")
    known = session.presentation
    if known.session is None or name not in known.renditions:
        return _error(404, "no such rendition")
    cache_control, skip = _SHORT, False
    if known.session.low_latency:
        try:
            directives = parse_directives(request.query)
            if not known.ended:
                check_reachable(directives, known, name)
        except BadDirective as error:
            return _error(400, str(error))
        hold_s = known.session.target_duration_s * _HOLD_TARGET_DURATIONS
        if not await session.wait_until(lambda now: is_satisfied(directives, now, name), hold_s):
            return _error(503, f"nothing new for {hold_s} s")
        skip = directives.skip
        if directives.msn is not None:
            # The answer to a blocking request holds for all who ask the same.
            cache_control = f"public, max-age={known.session.target_duration_s}"
    if name not in session.presentation.renditions:
        return _error(404, "no such rendition")
    return _playlist(
        request, session, (name, skip), lambda now: media_playlist(now, name, skip=skip), cache_control
    )  # fmt: skip


async def _media_file(request: web.Request) -> web.StreamResponse:
    name, file = request.match_info["rendition"], request.match_info["file"]
    try:
        session = _session(request)
    except SessionGone:
        return _error(404, "no such session")
    path = session.directory / name / file
    if not path.is_file() and not (await _hinted_part_comes(session, name, file) and path.is_file()):
        return _error(404, "no such file, or not any more")
    rendition = session.presentation.renditions.get(name)
    kind = _AUDIO_TYPE if rendition is not None and rendition.info.kind == "audio" else _VIDEO_TYPE
    headers = {**_CORS, hdrs.CACHE_CONTROL: _IMMUTABLE, hdrs.CONTENT_TYPE: kind}
    return web.FileResponse(path, headers=headers)


async def _hinted_part_comes(session: LiveSession, name: str, file: str) -> bool:
    """Hold a request for the part that the playlist hints at until it is there (6.2.6)."""
    match = _PART.fullmatch(file)
    rendition = session.presentation.renditions.get(name)
    if match is None or rendition is None or session.presentation.session is None or session.presentation.ended:
        return False
    wanted = (int(match[1]), int(match[2]))
    if wanted != rendition.next_part:
        return False
    hold_s = session.presentation.session.target_duration_s * _HOLD_TARGET_DURATIONS
    return await session.wait_until(
        lambda now: now.ended or name not in now.renditions or now.renditions[name].has_part(*wanted), hold_s
    )


async def _preflight(request: web.Request) -> web.Response:
    return web.Response(status=204, headers=_CORS)


async def _unknown(request: web.Request) -> web.Response:
    return _error(404, "not found")


def _session(request: web.Request) -> LiveSession:
    return request.app[SESSIONS].get(request.match_info["edge_id"], request.match_info["session_id"])


def _playlist(
    request: web.Request,
    session: LiveSession,
    key: tuple[str, bool],
    render: Callable[[Presentation], str],
    cache_control: str,
) -> web.Response:
    known = session.rendered.get(key)
    if known is None or known[0] != session.version:
        text = render(session.presentation).encode()
        known = session.rendered[key] = (session.version, text, gzip.compress(text, 1, mtime=0))
    headers = {
        **_CORS,
        hdrs.CACHE_CONTROL: cache_control,
        hdrs.CONTENT_TYPE: PLAYLIST_TYPE,
        hdrs.VARY: "Accept-Encoding",
    }
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=known[2], headers=headers)
    return web.Response(body=known[1], headers=headers)


def _error(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers={**_CORS, hdrs.CACHE_CONTROL: "public, max-age=1"})
