"""Tells when a session is live: the first part of every rendition is fetchable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable


class Readiness:
    """Counts the renditions that have published something; calls `on_ready` once, from the last one's thread."""

    def __init__(self, renditions: Iterable[str], on_ready: Callable[[], None]) -> None:
        self._missing = set(renditions)
        self._on_ready = on_ready
        self._lock = threading.Lock()

    def published(self, rendition: str) -> None:
        """A part or segment of this rendition is fetchable."""
        if not self._missing:
            return
        with self._lock:
            if rendition not in self._missing:
                return
            self._missing.discard(rendition)
            ready = not self._missing
        if ready:
            self._on_ready()
