"""Blocking playlist requests that wait in groups, without a task each: all who ask the same get the same bytes at once.

A low-latency player's request for the next playlist is recognised in the bytes that came. Those who want the same
playlist of the same rendition wait as one group: whether it is there is asked once, it is rendered once, and the bytes
are given to every connection of the group. Whatever is not certain (directives that must be refused, a session that is
not here or has ended, unusual headers) is left to the origin's handlers, at the beginning or later: a connection gives
back to them what it has read.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import hdrs

from packager.answers import blocking_age, head_bytes, nothing_new, playlist_body, playlist_headers
from packager.directives import BadDirective, Directives, check_reachable, is_satisfied
from packager.live_sessions import LiveSession, LiveSessions, SessionGone
from packager.plain_requests import PlainHeaders, PlainRequests
from packager.playlists import media_playlist
from packager.presentation import Presentation

_BLOCKING: Final = re.compile(
    rb"GET /live/(lse_[0-9a-z]{26})/(se_[0-9a-z]{26})/([0-9a-z]{1,16})/media\.m3u8"
    rb"\?_HLS_msn=([0-9]{1,12})(?:&_HLS_part=([0-9]{1,12}))?(?:&_HLS_skip=(YES|v2))? HTTP/1\.1\r\n"
)
_JOINED_MAX_BYTES: Final = 64 << 10
_SOON_S: Final = 0.001


class Viewer(Protocol):
    """A connection whose request waits."""

    @property
    def address(self) -> str | None:
        """Where it comes from."""

    def answer(self, buffers: Sequence[bytes]) -> None:
        """Its request is answered with these bytes."""

    def give_back(self) -> None:
        """The routes are to answer its request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who has asked, and when on the monotonic clock."""

    address: str | None
    headers: PlainHeaders
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The same answer for all of these."""

    edge_id: str
    rendition: str
    asked: Sequence[Asked]
    at_s: float
    status: int
    size_bytes: int


class Timer(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """Call it off."""


@dataclass(frozen=True, slots=True)
class _Key:
    rendition: str
    directives: Directives
    gzipped: bool


class Group:
    """All who wait for the same bytes."""

    def __init__(self, playlists: HeldPlaylists, session: LiveSession, key: _Key) -> None:
        self._playlists = playlists
        self._session = session
        self._key = key
        self._waiting: dict[Viewer, Asked] = {}  # who has waited longest comes first
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, viewer: Viewer, asked: Asked) -> None:
        """One more waits."""
        self._waiting[viewer] = asked
        if self._timer is None:
            self._timer = self._playlists.call_later(self._hold_s, self.expire)

    def leave(self, viewer: Viewer) -> None:
        """This one wants no answer any more."""
        self._waiting.pop(viewer, None)
        if not self._waiting:
            self._close()

    def is_due(self, now: Presentation) -> bool:
        """Whether what they wait for is there."""
        return is_satisfied(self._key.directives, now, self._key.rendition)

    def wake(self, *, gone: bool) -> None:
        """It is there, or the session is `gone`."""
        self._close()
        waiting, self._waiting = self._waiting, {}
        if gone or self._key.rendition not in self._session.presentation.renditions:
            for viewer in waiting:
                viewer.give_back()
            return
        head, body = self._playlists.playlist(self._session, self._key)
        self._answer(waiting, 200, head, body)

    def expire(self) -> None:
        """Answer with 503 whoever has waited for too long (6.2.5.2)."""
        self._timer = None
        now_s = self._playlists.now_s()
        since_s = now_s - self._hold_s + _SOON_S
        expired = {viewer: asked for viewer, asked in self._waiting.items() if asked.at_s <= since_s}
        for viewer in expired:
            del self._waiting[viewer]
        if self._waiting:
            first = next(iter(self._waiting.values()))
            self._timer = self._playlists.call_later(first.at_s + self._hold_s - now_s, self.expire)
        else:
            self._close()
        body = f"{nothing_new(self._hold_s)}\n".encode()
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: "text/plain; charset=utf-8", hdrs.RETRY_AFTER: "1"}
        self._answer(expired, 503, head_bytes(503, headers, len(body)), body)

    @property
    def _hold_s(self) -> float:
        return self._playlists.hold_s(self._session)

    def _answer(self, viewers: dict[Viewer, Asked], status: int, head: bytes, body: bytes) -> None:
        buffers = (head + body,) if len(body) <= _JOINED_MAX_BYTES else (head, body)
        for viewer in viewers:
            viewer.answer(buffers)
        self._playlists.tell(self._session, self._key, list(viewers.values()), status, len(body))

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._session.groups.get(self._key) is self:
            del self._session.groups[self._key]


class HeldPlaylists:
    """The groups of all sessions. `hold_target_durations` is how long a request is held."""

    def __init__(
        self,
        sessions: LiveSessions,
        hold_target_durations: float,
        *,
        now_s: Callable[[], float] = time.monotonic,
        call_later: Callable[[float, Callable[[], None]], Timer] | None = None,
    ) -> None:
        self._sessions = sessions
        self._hold_target_durations = hold_target_durations
        self._requests = PlainRequests()
        self._call_later = call_later
        self.now_s = now_s
        self.on_answers: Callable[[Answers], None] = lambda answers: None
        """Hears of what was answered here."""

    def ask(self, data: bytes, viewer: Viewer) -> tuple[bytes, bytes] | Group | None:
        """The answer to these bytes if it is there, the group in which the viewer waits for it, or None.

        None: they are not exactly one request that is answered here.
        """
        match = _BLOCKING.match(data)
        if match is None or (headers := self._requests.headers(data[match.end() - 2 :])) is None:
            return None
        session = self._session(match[1].decode(), match[2].decode())
        if session is None:
            return None
        part = None if match[5] is None else int(match[5])
        directives = Directives(int(match[4]), part, match[6] is not None)
        key = _Key(match[3].decode(), directives, headers.gzip)
        if not _is_answered_here(session, key):
            return None
        asked = Asked(viewer.address, headers, self.now_s())
        if is_satisfied(directives, session.presentation, key.rendition):
            head, body = self.playlist(session, key)
            self.tell(session, key, [asked], 200, len(body))
            return head, body
        group = session.groups.get(key)
        if not isinstance(group, Group):
            group = session.groups[key] = Group(self, session, key)
        group.add(viewer, asked)
        return group

    def playlist(self, session: LiveSession, key: _Key) -> tuple[bytes, bytes]:
        """Head and body of what a group gets."""
        name, skip = key.rendition, key.directives.skip
        body = playlist_body(
            session, (name, skip), lambda now: media_playlist(now, name, skip=skip), gzipped=key.gzipped
        )  # fmt: skip
        return head_bytes(200, playlist_headers(blocking_age(session), gzipped=key.gzipped), len(body)), body

    def hold_s(self, session: LiveSession) -> float:
        """How long a request is held."""
        return session.target_duration_s * self._hold_target_durations

    def call_later(self, after_s: float, callback: Callable[[], None]) -> Timer:
        """Have something called, on the running loop unless another clock was given."""
        call_later = self._call_later or asyncio.get_running_loop().call_later
        return call_later(after_s, callback)

    def tell(self, session: LiveSession, key: _Key, asked: Sequence[Asked], status: int, size_bytes: int) -> None:
        """Say what was answered to whom."""
        self.on_answers(
            Answers(
                edge_id=session.directory.parent.name,
                rendition=key.rendition,
                asked=asked,
                at_s=self.now_s(),
                status=status,
                size_bytes=size_bytes,
            )
        )

    def _session(self, edge_id: str, session_id: str) -> LiveSession | None:
        with suppress(SessionGone):
            return self._sessions.get(edge_id, session_id)
        return None


def _is_answered_here(session: LiveSession, key: _Key) -> bool:
    """Whether the routes would do nothing else than hold this request and answer it, asking no other node."""
    known = session.presentation
    if known.session is None or not known.session.low_latency or known.ended or key.rendition not in known.renditions:
        return False
    if not session.is_delivering:
        return False
    with suppress(BadDirective):
        check_reachable(key.directives, known, key.rendition)
        return True
    return False
