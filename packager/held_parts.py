"""Requests for the part that a playlist hints at (6.2.6), recognised in the bytes that came."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Final

from aiohttp import hdrs

from packager.answers import NO_SUCH_FILE, head_bytes
from packager.held_requests import Recognised
from packager.hot_media import HotMedia
from packager.live_sessions import LiveSession, LiveSessions
from packager.plain_requests import PlainRequests
from packager.presentation import Presentation

_PART: Final = re.compile(
    rb"GET /live/((lse_[0-9a-z]{26})/(se_[0-9a-z]{26})/([0-9a-z]{1,16})/([0-9]{1,12})\.([0-9]{1,6})\.m4s) HTTP/1\.1\r\n"
)


@dataclass(frozen=True, slots=True)
class WantedPart:
    """A part, whole; see `Wanted`."""

    kind: ClassVar[str] = "media"
    rendition: str
    msn: int
    part: int
    path: bytes
    hot: HotMedia = field(compare=False, repr=False)

    def is_due(self, now: Presentation) -> bool:
        """Whether it is there, or can't come any more."""
        rendition = now.renditions.get(self.rendition)
        return now.ended or rendition is None or rendition.has_part(self.msn, self.part)

    def answer(self, session: LiveSession) -> tuple[bytes, bytes] | None:
        """Head and body; None when it never came."""
        return self.hot.whole_file(self.path, is_audio=self.rendition == "audio")

    def too_late(self, hold_s: float) -> tuple[int, bytes, bytes]:
        """404."""
        body = f"{NO_SUCH_FILE}\n".encode()
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: "text/plain; charset=utf-8"}
        return 404, head_bytes(404, headers, len(body)), body


class HeldParts:
    """Recognises requests for hinted parts of these sessions. Progressive parts are the routes' matter."""

    def __init__(self, sessions: LiveSessions, hot: HotMedia) -> None:
        self._sessions = sessions
        self._hot = hot
        self._requests = PlainRequests()

    def recognise(self, data: bytes) -> Recognised | None:
        """What these bytes want, if they are exactly one such request."""
        match = _PART.match(data)
        if match is None or (headers := self._requests.headers(data[match.end() - 2 :])) is None:
            return None
        session = self._sessions.known(match[2].decode(), match[3].decode())
        if session is None or not session.may_be_waited_for:
            return None
        known, rendition = session.presentation, match[4].decode()
        wanted = WantedPart(rendition, int(match[5]), int(match[6]), match[1], self._hot)
        if known.session is None or known.session.progressive or rendition not in known.renditions:
            return None
        if (wanted.msn, wanted.part) != known.renditions[rendition].next_part:
            return None
        return Recognised(session, wanted, headers)
