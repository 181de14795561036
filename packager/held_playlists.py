"""Blocking playlist requests, recognised in the bytes that came: the next playlist of a rendition, as a player asks for
it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final

from aiohttp import hdrs

from packager.answers import blocking_age, head_bytes, nothing_new, playlist_body, playlist_headers
from packager.directives import BadDirective, Directives, check_reachable, is_satisfied
from packager.held_requests import Recognised
from packager.live_sessions import LiveSession, LiveSessions
from packager.plain_requests import PlainRequests
from packager.playlists import media_playlist
from packager.presentation import Presentation

_BLOCKING: Final = re.compile(
    rb"GET /live/(lse_[0-9a-z]{26})/(se_[0-9a-z]{26})/([0-9a-z]{1,16})/media\.m3u8"
    rb"\?_HLS_msn=([0-9]{1,12})(?:&_HLS_part=([0-9]{1,12}))?(?:&_HLS_skip=(YES|v2))? HTTP/1\.1\r\n"
)


@dataclass(frozen=True, slots=True)
class WantedPlaylist:
    """A playlist that has come as far as the directives say; see `Wanted`."""

    kind: ClassVar[str] = "playlist"
    rendition: str
    directives: Directives
    gzipped: bool

    def is_due(self, now: Presentation) -> bool:
        """Whether it has come so far."""
        return is_satisfied(self.directives, now, self.rendition)

    def answer(self, session: LiveSession) -> tuple[bytes, bytes] | None:
        """Head and body; None when the rendition has gone."""
        name, skip = self.rendition, self.directives.skip
        if name not in session.presentation.renditions:
            return None
        body = playlist_body(
            session, (name, skip), lambda now: media_playlist(now, name, skip=skip), gzipped=self.gzipped
        )
        return head_bytes(200, playlist_headers(blocking_age(session), gzipped=self.gzipped), len(body)), body

    def too_late(self, hold_s: float) -> tuple[int, bytes, bytes]:
        """503 (6.2.5.2)."""
        body = f"{nothing_new(hold_s)}\n".encode()
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: "text/plain; charset=utf-8", hdrs.RETRY_AFTER: "1"}
        return 503, head_bytes(503, headers, len(body)), body


class HeldPlaylists:
    """Recognises requests for playlists of these sessions."""

    def __init__(self, sessions: LiveSessions) -> None:
        self._sessions = sessions
        self._requests = PlainRequests()

    def recognise(self, data: bytes) -> Recognised | None:
        """What these bytes want, if they are exactly one such request."""
        match = _BLOCKING.match(data)
        if match is None or (headers := self._requests.headers(data[match.end() - 2 :])) is None:
            return None
        session = self._sessions.known(match[1].decode(), match[2].decode())
        if session is None:
            return None
        part = None if match[5] is None else int(match[5])
        wanted = WantedPlaylist(match[3].decode(), Directives(int(match[4]), part, match[6] is not None), headers.gzip)
        return Recognised(session, wanted, headers) if _is_answered_here(session, wanted) else None


def _is_answered_here(session: LiveSession, wanted: WantedPlaylist) -> bool:
    """Whether the routes would do nothing else than hold this request and answer it, asking no other node."""
    known = session.presentation
    if not session.may_be_waited_for or wanted.rendition not in known.renditions:
        return False
    with suppress(BadDirective):
        check_reachable(wanted.directives, known, wanted.rendition)
        return True
    return False
