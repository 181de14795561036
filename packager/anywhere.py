"""Requests for a stream's media come to any node: here they are answered from this node's files, or passed on.

For a session that is written here at the moment nobody is asked. Whose it is otherwise, `Elsewhere` knows: sessions
move when their node is lost or drained, and this node may have what it has published of one still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from packager.answers import PREFLIGHT
from packager.elsewhere import MISDIRECTED, PROXIED, Elsewhere, NotThere, Owner, OwnerAway
from packager.live_sessions import LiveSession, LiveSessions, SessionGone

SESSIONS: Final = web.AppKey("live_sessions", LiveSessions)
ELSEWHERE: Final = web.AppKey("elsewhere", Elsewhere)

AWAY_HOLD_S: Final = 9.0
"""How long a playlist is held whose node has just gone: less than players wait (hls.js: 10 s)."""

_AWAY_LOOK_S: Final = 0.25

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def anywhere(handler: Handler, *, playlist: bool) -> Handler:
    """Let a handler for local media, which raises `SessionGone` for what is not here, answer for all nodes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        elsewhere = request.app.get(ELSEWHERE)
        if PROXIED in request.headers and playlist and _is_beginning(request):
            return error(MISDIRECTED, "nothing of the session is here yet")
        if elsewhere is None or PROXIED in request.headers or _is_certain(request, playlist):
            with suppress(SessionGone):
                return await handler(request)
        if elsewhere is None or PROXIED in request.headers:
            return error(404 if elsewhere is None else MISDIRECTED, "no such live stream here")
        return await _from_owner(request, handler, elsewhere, playlist)

    return answer


async def preflight(request: web.Request) -> web.Response:
    """A browser asks whether a page may ask."""
    return web.Response(status=204, headers=PREFLIGHT)


def error(status: int, text: str) -> web.Response:
    """A short answer in plain text."""
    response = web.Response(status=status, text=text + "\n")
    if status == 503:
        response.headers[hdrs.RETRY_AFTER] = "1"
    return response


async def _from_owner(
    request: web.Request, handler: Handler, elsewhere: Elsewhere, playlist: bool
) -> web.StreamResponse:
    edge_id = request.match_info["edge_id"]
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + (AWAY_HOLD_S if playlist else 0.0)
    while True:
        owner = await elsewhere.owners.owner(edge_id)
        if owner is None or not _may_have(request, owner):
            break
        if owner.is_here:
            if not playlist or not _is_due(request, owner):
                break
        elif owner.url:
            try:
                return await elsewhere.pass_on(request, owner.url)
            except NotThere:
                if not owner.is_live or not playlist:
                    break
            except OwnerAway:
                pass
        elif owner.session_id and not owner.is_live:
            break  # what its node had of the session has gone with it
        # Its node has gone, or begins with it just now: another answer is a matter of seconds.
        if loop.time() >= give_up_s or not owner.is_live:
            return error(503, "the stream's node is away")
        await asyncio.sleep(_AWAY_LOOK_S)
    try:
        return await handler(request)
    except SessionGone:
        return error(404, "no such live stream now")


def media_path(request: web.Request) -> Path:
    """Where the file of a request for media is, if it is here."""
    info = request.match_info
    directory = request.app[SESSIONS].directory(info["edge_id"], info["session_id"])
    return directory / info["rendition"] / info["file"]


def _is_certain(request: web.Request, playlist: bool) -> bool:
    """Whether this node can answer without asking who has the stream now."""
    if not playlist and media_path(request).is_file():
        return True
    session = _session(request)
    if session is None:
        return False
    if session.presentation.ended:
        # Nothing follows; but the stream may have a later session elsewhere.
        return "session_id" in request.match_info
    return session.is_delivering


def _is_beginning(request: web.Request) -> bool:
    """Whether this node has the session, but nothing of it that a playlist could list: one without media has no
    media sequence number, and a player would take that for 0."""
    session = _session(request)
    return session is not None and not session.is_ready and not session.presentation.ended


def _is_due(request: web.Request, owner: Owner) -> bool:
    """Whether a session of this node is live, but has nothing here yet: it has just come from another node."""
    if not owner.is_live or request.match_info.get("session_id", owner.session_id) != owner.session_id:
        return False
    session = _session(request)
    return session is None or session.directory.name != owner.session_id or not session.is_ready


def _may_have(request: web.Request, owner: Owner) -> bool:
    """An owner has its latest session. Of earlier ones, and all that is not here, it may have something."""
    return request.match_info.get("session_id") in (None, owner.session_id) or _session(request) is None


def _session(request: web.Request) -> LiveSession | None:
    sessions, edge_id = request.app[SESSIONS], request.match_info["edge_id"]
    session_id = request.match_info.get("session_id")
    try:
        return sessions.current(edge_id) if session_id is None else sessions.get(edge_id, session_id)
    except SessionGone:
        return None
