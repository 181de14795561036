"""How many players watch: those that have asked for a live playlist lately. An estimate, for operators."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final

WITHIN_S: Final = 20.0
"""Longer than any player waits between two playlists."""
_MOST: Final = 100_000


class Viewers:
    """Players told apart by what the caller knows of them. Beyond 100 000 the newest are not counted."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._seen_s: dict[Hashable, float] = {}  # the one seen longest ago comes first

    def seen(self, player: Hashable) -> None:
        """This player has asked for a playlist."""
        known = self._seen_s.pop(player, None)
        if known is not None or len(self._seen_s) < _MOST:
            self._seen_s[player] = self._now_s()
        else:
            self._forget()

    @property
    def count(self) -> int:
        """How many were seen within the last 20 s."""
        self._forget()
        return len(self._seen_s)

    def _forget(self) -> None:
        since_s = self._now_s() - WITHIN_S
        while self._seen_s and self._seen_s[first := next(iter(self._seen_s))] < since_s:
            del self._seen_s[first]
