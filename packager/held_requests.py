"""Requests for what comes next that wait in groups, without a task each: who ask the same get the same bytes at once.

A low-latency player's request for the next playlist, or the part that it hints at, is recognised in the bytes that
came (`held_playlists.py`, `held_parts.py`). Those who want the same wait as one group: whether it is there is asked
once, the answer is made once, and its bytes are given to every connection of the group. Whatever is not certain
(directives that must be refused, a session that is not here or has ended, unusual headers) is left to the origin's
handlers, at the beginning or later: a connection gives back to them what it has read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from packager.live_sessions import LiveSession
from packager.plain_requests import PlainHeaders
from packager.presentation import Presentation

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
    """The same answer for all of these. `kind` is playlist or media."""

    edge_id: str
    kind: str
    rendition: str
    asked: Sequence[Asked]
    at_s: float
    status: int
    size_bytes: int


class Wanted(Protocol):
    """What a group waits for. Those that are equal, of one session, get the same bytes."""

    def __hash__(self) -> int: ...

    @property
    def kind(self) -> str:
        """See `Answers`."""

    @property
    def rendition(self) -> str:
        """Of which rendition it is."""

    def is_due(self, now: Presentation) -> bool:
        """Whether it is there, or will not come any more."""

    def answer(self, session: LiveSession) -> tuple[bytes, bytes] | None:
        """Head and body once it is due; None where the routes must answer."""

    def too_late(self, hold_s: float) -> tuple[int, bytes, bytes]:
        """Status, head and body for those who have waited this long in vain."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a request wants, and of which session."""

    session: LiveSession
    wanted: Wanted
    headers: PlainHeaders


class Timer(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """Call it off."""


class Group:
    """All who wait for the same bytes."""

    def __init__(self, held: HeldRequests, session: LiveSession, wanted: Wanted) -> None:
        self._held = held
        self._session = session
        self._wanted = wanted
        self._waiting: dict[Viewer, Asked] = {}  # who has waited longest comes first
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, viewer: Viewer, asked: Asked) -> None:
        """One more waits."""
        self._waiting[viewer] = asked
        if self._timer is None:
            self._timer = self._held.call_later(self._hold_s, self.expire)

    def leave(self, viewer: Viewer) -> None:
        """This one wants no answer any more."""
        self._waiting.pop(viewer, None)
        if not self._waiting:
            self._close()

    def is_due(self, now: Presentation) -> bool:
        """Whether what they wait for is there."""
        return self._wanted.is_due(now)

    def wake(self, *, gone: bool) -> None:
        """It is there, or the session is `gone`."""
        self._close()
        waiting, self._waiting = self._waiting, {}
        answer = None if gone else self._wanted.answer(self._session)
        if answer is not None:
            self._answer(waiting, 200, *answer)
            return
        for viewer in waiting:
            viewer.give_back()

    def expire(self) -> None:
        """Answer whoever has waited for too long (6.2.5.2)."""
        self._timer = None
        now_s = self._held.now_s()
        since_s = now_s - self._hold_s + _SOON_S
        expired = {viewer: asked for viewer, asked in self._waiting.items() if asked.at_s <= since_s}
        for viewer in expired:
            del self._waiting[viewer]
        if self._waiting:
            first = next(iter(self._waiting.values()))
            self._timer = self._held.call_later(first.at_s + self._hold_s - now_s, self.expire)
        else:
            self._close()
        self._answer(expired, *self._wanted.too_late(self._hold_s))

    @property
    def _hold_s(self) -> float:
        return self._held.hold_s(self._session)

    def _answer(self, viewers: dict[Viewer, Asked], status: int, head: bytes, body: bytes) -> None:
        buffers = (head + body,) if len(body) <= _JOINED_MAX_BYTES else (head, body)
        for viewer in viewers:
            viewer.answer(buffers)
        self._held.tell(self._session, self._wanted, list(viewers.values()), status, len(body))

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._session.groups.get(self._wanted) is self:
            del self._session.groups[self._wanted]


class HeldRequests:
    """The groups of all sessions. `hold_target_durations` is how long a request is held.

    Each of `recognise` says what bytes want that are exactly one request of its kind, which the routes would only hold
    and answer; None of any other.
    """

    def __init__(
        self,
        hold_target_durations: float,
        *recognise: Callable[[bytes], Recognised | None],
        now_s: Callable[[], float] = time.monotonic,
        call_later: Callable[[float, Callable[[], None]], Timer] | None = None,
    ) -> None:
        self._hold_target_durations = hold_target_durations
        self._recognise = recognise
        self._call_later = call_later
        self.now_s = now_s
        self.on_answers: Callable[[Answers], None] = lambda answers: None
        """Hears of what was answered here."""

    def ask(self, data: bytes, viewer: Viewer) -> tuple[bytes, bytes] | Group | None:
        """The answer to these bytes if it is there, the group in which the viewer waits for it, or None.

        None: they are not exactly one request that is answered here.
        """
        found = next((found for recognise in self._recognise if (found := recognise(data)) is not None), None)
        if found is None:
            return None
        session, wanted = found.session, found.wanted
        asked = Asked(viewer.address, found.headers, self.now_s())
        if wanted.is_due(session.presentation):
            answer = wanted.answer(session)
            if answer is not None:
                self.tell(session, wanted, [asked], 200, len(answer[1]))
            return answer
        group = session.groups.get(wanted)
        if not isinstance(group, Group):
            group = session.groups[wanted] = Group(self, session, wanted)
        group.add(viewer, asked)
        return group

    def hold_s(self, session: LiveSession) -> float:
        """How long a request is held."""
        return session.target_duration_s * self._hold_target_durations

    def call_later(self, after_s: float, callback: Callable[[], None]) -> Timer:
        """Have something called, on the running loop unless another clock was given."""
        call_later = self._call_later or asyncio.get_running_loop().call_later
        return call_later(after_s, callback)

    def tell(self, session: LiveSession, wanted: Wanted, asked: Sequence[Asked], status: int, size_bytes: int) -> None:
        """Say what was answered to whom."""
        self.on_answers(
            Answers(
                edge_id=session.directory.parent.name,
                kind=wanted.kind,
                rendition=wanted.rendition,
                asked=asked,
                at_s=self.now_s(),
                status=status,
                size_bytes=size_bytes,
            )
        )
