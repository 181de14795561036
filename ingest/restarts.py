"""How often a session's worker may die before the session is given up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic


class RestartLimit:
    """At most `most` restarts within `within_s`."""

    def __init__(self, most: int, within_s: float, now_s: Callable[[], float] = monotonic) -> None:
        self._within_s = within_s
        self._now_s = now_s
        self._at_s: deque[float] = deque(maxlen=most)

    def take(self) -> bool:
        """Count one restart; False when it is one too many."""
        now_s = self._now_s()
        if len(self._at_s) == self._at_s.maxlen and now_s - self._at_s[0] < self._within_s:
            return False
        self._at_s.append(now_s)
        return True
