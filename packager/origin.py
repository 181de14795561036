"""The origin: playlists, parts and segments over HTTP, and the requests that wait for the next of them.

Playlists are rendered from the journal; media files are served as they lie in the media directory.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from packager.answers import (
    CORS,
    IMMUTABLE,
    NO_SUCH_FILE,
    SHORT,
    blocking_age,
    finished,
    nothing_new,
    playlist_body,
    playlist_headers,
)
from packager.anywhere import ELSEWHERE, SESSIONS, anywhere, error, media_path, preflight
from packager.directives import NO_DIRECTIVES, BadDirective, Directives, check_reachable, is_satisfied, parse_directives
from packager.elsewhere import Elsewhere
from packager.growing_parts import GrowingParts
from packager.held_parts import HeldParts
from packager.held_playlists import HeldPlaylists
from packager.held_requests import HeldRequests
from packager.hot_media import HotMedia
from packager.live_sessions import LiveSession, LiveSessions, SessionGone
from packager.media_files import HOT, media_file, stream_part, wants_whole_file
from packager.multivariant import multivariant_playlist
from packager.old_parts import find_old_part
from packager.plain_requests import GZIP
from packager.playlists import MEDIA_PLAYLIST, media_playlist
from packager.presentation import Presentation
from packager.publication import POSTER
from packager.shared_body import shared_answer

_VIDEO_TYPE: Final = "video/mp4"
_AUDIO_TYPE: Final = "audio/mp4"
_POSTER_AGE = "public, max-age=5"
_EDGE = r"{edge_id:lse_[0-9a-z]{26}}"
_SESSION = r"{session_id:se_[0-9a-z]{26}}"
_RENDITION = r"{rendition:[0-9a-z]{1,16}}"
_FILE = r"{file:init-[0-9]{1,9}\.mp4|[0-9]{1,12}(?:\.[0-9]{1,6})?\.m4s}"
_PART = re.compile(r"([0-9]+)\.([0-9]+)\.m4s")

HELD: Final = web.AppKey("held_requests", HeldRequests)
GROWING: Final = web.AppKey("growing_parts", GrowingParts)
_HOLD: Final = web.AppKey("hold_target_durations", float)


def setup_origin(
    app: web.Application, media_dir: Path, *, elsewhere: Elsewhere | None = None, hold_target_durations: float = 3
) -> None:
    """Serve `/live/…` from this media directory, and what is `elsewhere` from the nodes that have it.

    A request for what is not there yet is held for at most `hold_target_durations` (6.2.5.2: three), then answered
    with 503. Run the app with `handler_cancellation`: only then a viewer who leaves frees its wait at once.
    """
    app[SESSIONS] = LiveSessions(media_dir)
    app[GROWING] = GrowingParts()
    app[HOT] = hot_media(media_dir)
    app[_HOLD] = hold_target_durations
    playlists, parts = HeldPlaylists(app[SESSIONS]), HeldParts(app[SESSIONS], app[HOT])
    app[HELD] = HeldRequests(hold_target_durations, playlists.recognise, parts.recognise)
    if elsewhere is not None:
        app[ELSEWHERE] = elsewhere
    app.on_startup.append(_start)
    app.on_shutdown.append(_close)
    app.on_response_prepare.append(_finish_headers)
    master = rf"/live/{_EDGE}/master.m3u8"
    poster = rf"/live/{_EDGE}/{POSTER}"
    playlist = rf"/live/{_EDGE}/{_SESSION}/{_RENDITION}/{MEDIA_PLAYLIST}"
    media = rf"/live/{_EDGE}/{_SESSION}/{_RENDITION}/{_FILE}"
    app.router.add_get(master, anywhere(_multivariant, playlist=True))
    app.router.add_get(poster, anywhere(_poster, playlist=True))
    app.router.add_get(playlist, anywhere(_media_playlist, playlist=True))
    app.router.add_get(media, anywhere(_media_file, playlist=False))
    app.router.add_route(hdrs.METH_OPTIONS, "/live/{path:.*}", preflight)
    app.router.add_get("/live/{path:.*}", _unknown)


def hot_media(media_dir: Path) -> HotMedia:
    """What answers plain requests for media of this directory ahead of the routes, with the same headers."""
    headers = {**CORS, hdrs.CACHE_CONTROL: IMMUTABLE, hdrs.ACCEPT_RANGES: "bytes"}
    return HotMedia(media_dir, "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode())


async def _start(app: web.Application) -> None:
    app[SESSIONS].start()
    app[GROWING].start()
    if (elsewhere := app.get(ELSEWHERE)) is not None:
        await elsewhere.start()


async def _close(app: web.Application) -> None:
    """At shutdown, not at clean-up: requests that are held would delay it."""
    app[SESSIONS].close()
    app[GROWING].close()
    if (elsewhere := app.get(ELSEWHERE)) is not None:
        await elsewhere.close()


async def _finish_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Any page may read what is below `/live/` and `/vod/`, and no error of it is cached for long, whoever answers."""
    if request.path.startswith(("/live/", "/vod/")):
        response.headers.update(finished(response.status, {}))


async def _multivariant(request: web.Request) -> web.Response:
    session = request.app[SESSIONS].current(request.match_info["edge_id"])
    return _playlist(request, session, ("", False), multivariant_playlist, SHORT)


async def _poster(request: web.Request) -> web.StreamResponse:
    session = request.app[SESSIONS].current(request.match_info["edge_id"])
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: _POSTER_AGE, hdrs.CONTENT_TYPE: "image/jpeg"}
    answer = media_file(request, session.directory / POSTER, headers)
    return answer if answer is not None else error(404, "no poster of this stream")


async def _media_playlist(request: web.Request) -> web.Response:
    name = request.match_info["rendition"]
    session = _session(request)
    known = session.presentation
    if known.session is None or name not in known.renditions:
        return error(404, "no such rendition")
    cache_control, skip = SHORT, False
    if known.session.low_latency:
        try:
            # What has ended is delivered whole, whatever is asked (6.2.5.1, 6.2.5.2).
            directives = NO_DIRECTIVES if known.ended else parse_directives(request.query)
            check_reachable(directives, known, name)
        except BadDirective as bad:
            return error(400, str(bad))
        hold_s = known.session.target_duration_s * request.app[_HOLD]
        if not await session.wait_until(lambda now: is_satisfied(directives, now, name), hold_s):
            return error(503, nothing_new(hold_s))
        skip = directives.skip
        if directives.msn is not None:
            cache_control = blocking_age(session)
    if name not in session.presentation.renditions:
        return error(404, "no such rendition")
    return _playlist(
        request, session, (name, skip), lambda now: media_playlist(now, name, skip=skip), cache_control
    )  # fmt: skip


async def _media_file(request: web.Request) -> web.StreamResponse:
    name, file = request.match_info["rendition"], request.match_info["file"]
    path = media_path(request)
    try:
        session: LiveSession | None = _session(request)
    except SessionGone:
        # It has moved to another node; what was published here can still be fetched.
        session = None
    rendition = None if session is None else session.presentation.renditions.get(name)
    is_audio = name == "audio" if rendition is None else rendition.info.kind == "audio"
    kind = _AUDIO_TYPE if is_audio else _VIDEO_TYPE
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: IMMUTABLE, hdrs.CONTENT_TYPE: kind}
    answer = media_file(request, path, headers)
    if answer is None:
        if session is None:
            raise SessionGone(path.parent.parent.name)
        if (directives := _hinted_part(session.presentation, name, file)) is not None:
            answer = await _hinted(request, session, path, directives, headers)
        elif rendition is not None and (old := find_old_part(rendition, file)) is not None:
            body = await asyncio.to_thread(old.read, path.parent)
            answer = None if body is None else shared_answer(body, headers)
    return answer if answer is not None else error(404, NO_SUCH_FILE)


def _hinted_part(known: Presentation, name: str, file: str) -> Directives | None:
    """What to wait for when this file is the part that the playlist hints at; None when it is not."""
    match = _PART.fullmatch(file)
    if match is None or known.session is None or name not in known.renditions or known.ended:
        return None
    msn, part = int(match[1]), int(match[2])
    return Directives(msn, part, False) if (msn, part) == known.renditions[name].next_part else None


async def _hinted(
    request: web.Request, session: LiveSession, path: Path, directives: Directives, headers: Mapping[str, str]
) -> web.StreamResponse | None:
    """Hold a request for the part that the playlist hints at until it is there, or can't come any more (6.2.6).

    A progressive one is delivered as it grows.
    """
    known = session.presentation.session
    assert known is not None
    hold_s = known.target_duration_s * request.app[_HOLD]

    def is_there(now: Presentation) -> bool:
        return is_satisfied(directives, now, path.parent.name)

    if known.progressive and wants_whole_file(request):
        with request.app[GROWING].part(path, session, is_there, hold_s) as part:
            answer = await stream_part(request, part, headers)
        if answer is not None:
            return answer
    with suppress(SessionGone):
        await session.wait_until(is_there, hold_s)
    return media_file(request, path, headers)


async def _unknown(request: web.Request) -> web.Response:
    return error(404, "not found")


def _session(request: web.Request) -> LiveSession:
    return request.app[SESSIONS].get(request.match_info["edge_id"], request.match_info["session_id"])


def _playlist(
    request: web.Request,
    session: LiveSession,
    key: tuple[str, bool],
    render: Callable[[Presentation], str],
    cache_control: str,
) -> web.Response:
    gzipped = GZIP.search(request.headers.get(hdrs.ACCEPT_ENCODING, "")) is not None
    body = playlist_body(session, key, render, gzipped=gzipped)
    return shared_answer(body, playlist_headers(cache_control, gzipped=gzipped))
