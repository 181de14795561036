"""What a session measures of itself: how long each stage takes, what it drops and repeats, how far it is behind."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict

from config.measures import Durations
from config.session import Stats


class SessionMeter:
    """One session. May be used from any thread; a count costs well under a microsecond of a frame's milliseconds.

    Stages: `queue` (from the media socket to the decoder), `decode`, `scale` (to all rungs), `encode` (one rung, with
    its queue), `part` (from the media socket to a published part that ends with that picture).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._durations: dict[str, Durations] = {}
        self._published_s: dict[str, float] = {}

    def count(self, name: str, number: int = 1) -> None:
        """So many more of what is counted: `frames_dropped`, `frames_repeated`, `frames_encoded`."""
        with self._lock:
            self._counts[name] += number

    def spend(self, name: str, seconds: float) -> None:
        """So many seconds more of `frozen`, `encoded` (media) or `encoding` (time it took)."""
        with self._lock:
            self._seconds[name] += seconds

    def encoded(self, media_s: float, took_s: float, with_queue_s: float) -> None:
        """A rung has encoded one picture, which is seen for `media_s`."""
        with self._lock:
            self._counts["frames_encoded"] += 1
            self._seconds["encoded"] += media_s
            self._seconds["encoding"] += took_s
            self._durations.setdefault("encode", Durations()).observe(with_queue_s)

    def observe(self, stage: str, duration_s: float) -> None:
        """A stage took this long."""
        with self._lock:
            self._durations.setdefault(stage, Durations()).observe(max(0.0, duration_s))

    def published(self, rendition: str, part_target_s: float) -> None:
        """A part or segment of this rendition is fetchable: it is late by what it took longer than a part lasts."""
        now_s = time.monotonic()
        before_s = self._published_s.get(rendition)
        self._published_s[rendition] = now_s
        if before_s is not None:
            self.observe("lateness", now_s - before_s - part_target_s)

    def take(self, session_id: str, *, backlog: int, av_drift_s: float, cpu_s: float) -> Stats:
        """All since the last time, and what is so now."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            seconds, self._seconds = self._seconds, defaultdict(float)
            durations, self._durations = self._durations, {}
        return Stats(
            session_id=session_id,
            counts={**counts},
            seconds={name: round(value, 4) for name, value in seconds.items()},
            durations={stage: (taken.counts, round(taken.sum_s, 6)) for stage, taken in durations.items()},
            backlog=backlog,
            av_drift_s=round(av_drift_s, 4),
            cpu_s=round(cpu_s, 4),
        )
