"""What a recorder has done since it started, for its metrics."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from packager.recordings.records import StoredSegment


@dataclass(slots=True)
class Tally:
    """Numbers that only grow. Sessions are recorded in several threads."""

    segments: int = 0
    bytes: int = 0
    missed: int = 0
    """Segments that were published and could not be had any more."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_missed(self, segments: int) -> None:
        """Segments were missed of which there is no line: they lie between two others that were."""
        with self._lock:
            self.missed += segments

    def count(self, segment: StoredSegment) -> None:
        """A segment was noted, stored or missing."""
        with self._lock:
            self.segments += not segment.is_missing
            self.missed += segment.is_missing
            self.bytes += segment.size_bytes
