"""The origin checks itself: of what is published a sample is held against the rules before viewers get it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import structlog
from aiohttp import web

from packager.conformance import low_latency_rules
from packager.conformance.boxes import InitTrack
from packager.conformance.media_rules import CODECS, MEDIA, Media, fragments_of, init_of
from packager.conformance.playlist_rules import PLAYLIST, READABLE
from packager.conformance.presentation_rules import PRESENTATION, Presentation
from packager.conformance.rules import Rule, Violation
from packager.conformance.text import NotAPlaylist, ReadPlaylist, read_playlist
from packager.conformance.update_rules import UPDATE, Update, merge
from packager.files import part_file
from packager.live_sessions import LiveSession
from packager.playlists import media_playlist
from packager.presentation import Rendition

assert low_latency_rules  # its rules are among PLAYLIST's

log = structlog.get_logger()

_LONGEST_TEXT_BYTES = 64 << 10
"""A playlist of hours takes too long to read beside serving; its delta update tells of the same code."""


@dataclass(slots=True)
class _Seen:
    """What was looked at of a session last."""

    playlists: dict[str, ReadPlaylist] = field(default_factory=dict)
    inits: dict[Path, list[InitTrack]] = field(default_factory=dict)
    said: set[Rule] = field(default_factory=set)


class Guard:
    """Looks at every n-th news of each session; `share` is 1/n, 0 looks at nothing."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._due = 0.0
        self._seen: WeakKeyDictionary[LiveSession, _Seen] = WeakKeyDictionary()
        self.looked_at = 0
        """How many versions of playlists were checked."""
        self.violations: Counter[str] = Counter()
        """How often each rule was broken, by its name."""

    def look(self, session: LiveSession) -> None:
        """The session has news: check them if it is their turn. Each broken rule is logged once for a session."""
        if not session.is_ready:
            return  # it has just come from another node, and no viewer gets it yet
        self._due += self._share
        if self._due < 1:
            return
        self._due -= 1
        seen = self._seen.setdefault(session, _Seen())
        for violation in self._check(session, seen):
            rule = violation.rule
            self.violations[rule.name] += 1
            if rule not in seen.said:
                seen.said.add(rule)
                log.warning(
                    "rule_broken", rule=f"{rule.section} {rule.name}", level=rule.level, detail=violation.detail,
                    session_id=session.directory.name,
                )  # fmt: skip

    def _check(self, session: LiveSession, seen: _Seen) -> Iterator[Violation]:
        presentation = session.presentation
        if presentation.session is None:
            return
        for name, rendition in presentation.renditions.items():
            before = seen.playlists.get(name)
            try:
                yield from _check_playlist(session, name, seen)
            except NotAPlaylist as error:
                yield Violation(READABLE, f"{name}: {error}")
            now = seen.playlists.get(name)
            self.looked_at += 1
            if now is not None and now.part_uris and (before is None or now.end != before.end):
                yield from _check_newest_part(session, rendition, seen)
        if all(rendition.last_part is not None for rendition in presentation.renditions.values()):
            playlists = {f"http://host/{name}/media.m3u8": playlist for name, playlist in seen.playlists.items()}
            yield from PRESENTATION.check(Presentation(playlists))


GUARD: Final = web.AppKey("guard", Guard)


def _check_playlist(session: LiveSession, name: str, seen: _Seen) -> Iterator[Violation]:
    text = media_playlist(session.presentation, name)
    if len(text) > _LONGEST_TEXT_BYTES:
        seen.playlists.pop(name, None)
        return
    now = _read(text)
    yield from PLAYLIST.check(now)
    before, seen.playlists[name] = seen.playlists.get(name), now
    if before is not None:
        yield from UPDATE.check(Update(before, now))
    delta_text = media_playlist(session.presentation, name, skip=True)
    if delta_text != text:
        delta = _read(delta_text)
        yield from PLAYLIST.check(delta)
        merged, violations = merge(now, delta)
        yield from violations
        if merged is not None:
            yield from UPDATE.check(Update(now, merged))


def _read(text: str) -> ReadPlaylist:
    found = read_playlist(text)
    assert isinstance(found, ReadPlaylist)
    return found


def _check_newest_part(session: LiveSession, rendition: Rendition, seen: _Seen) -> Iterable[Violation]:
    """Its bytes against what the journal says of it, and of where the part before it ended."""
    segment = next((segment for segment in reversed(rendition.segments) if segment.parts), None)
    if segment is None:
        return []
    directory = session.directory / rendition.info.name
    record = segment.parts[-1]
    name = f"{rendition.info.name} part {segment.msn}.{record.part}"
    init_path = directory / segment.init
    try:
        violations: list[Violation] = []
        if init_path not in seen.inits:
            seen.inits[init_path], violations = init_of(f"{rendition.info.name} {segment.init}", init_path.read_bytes())
            violations += CODECS.check(rendition.info.name, seen.inits[init_path], rendition.info.codecs)
        init = seen.inits[init_path]
        data = (directory / part_file(segment.msn, record.part)).read_bytes()
        before = (directory / part_file(segment.msn, record.part - 1)).read_bytes() if record.part else b""
    except FileNotFoundError:
        return []  # a session that is being removed
    fragments, unreadable = fragments_of(name, data, init)
    violations += unreadable
    if not init or not fragments:
        return violations
    earlier = fragments_of(name, before, init)[0] if before else []
    media = Media(
        name=name, init=init, fragments=fragments, size_bytes=len(data), listed_s=record.duration_s, is_part=True,
        independent=record.independent,
        goes_on_from={run.track_id: run.end for fragment in earlier for run in fragment.runs},
    )  # fmt: skip
    return [*violations, *MEDIA.check(media)]
