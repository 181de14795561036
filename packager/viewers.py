"""How many players watch what: those that have asked for a live playlist lately. An estimate, for operators."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Final

WITHIN_S: Final = 20.0
"""Longer than any player waits between two playlists."""
NO_RENDITION: Final = ""
"""Of a player that has asked for the multivariant playlist only."""
_AUDIO: Final = "audio"
_MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Watched:
    at_s: float
    edge_id: str
    rendition: str


class Viewers:
    """Players told apart by what the caller knows of them. Beyond 100 000 the newest are not counted."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._seen: dict[Hashable, _Watched] = {}  # the one seen longest ago comes first
        self._counts: Counter[tuple[str, str]] = Counter()

    def seen(self, player: Hashable, edge_id: str, rendition: str = NO_RENDITION) -> None:
        """This player has asked for a playlist of this stream. Who follows video and audio counts for the video."""
        known = self._seen.pop(player, None)
        if known is not None:
            if known.edge_id == edge_id and known.rendition and rendition in (NO_RENDITION, _AUDIO):
                rendition = known.rendition
            self._uncount(known)
        elif len(self._seen) >= _MOST:
            self._forget()
            return
        self._seen[player] = _Watched(self._now_s(), edge_id, rendition)
        self._counts[edge_id, rendition] += 1

    @property
    def count(self) -> int:
        """How many were seen within the last 20 s."""
        self._forget()
        return len(self._seen)

    def by_stream(self) -> Mapping[str, int]:
        """The same by edge id; only streams that somebody watches."""
        return self._by(0)

    def by_rendition(self) -> Mapping[str, int]:
        """The same by rendition, over all streams."""
        return self._by(1)

    def _by(self, which: int) -> Mapping[str, int]:
        self._forget()
        found: Counter[str] = Counter()
        for key, count in self._counts.items():
            found[key[which]] += count
        return found

    def _uncount(self, known: _Watched) -> None:
        key = known.edge_id, known.rendition
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]

    def _forget(self) -> None:
        since_s = self._now_s() - WITHIN_S
        while self._seen and self._seen[first := next(iter(self._seen))].at_s < since_s:
            self._uncount(self._seen.pop(first))
