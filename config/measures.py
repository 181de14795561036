"""Durations counted by size: what a session worker measures and a scrape shows, in the same buckets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds; a last bucket takes what is longer."""


class Durations:
    """How many durations fell into each bucket, and their sum in seconds. Not for several threads at once."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS_S, duration_s)] += 1
        self.sum_s += duration_s

    def add(self, counts: Sequence[int], sum_s: float) -> None:
        """Count those that were counted elsewhere. Raises `ValueError` for other buckets."""
        self.counts = [have + more for have, more in zip(self.counts, counts, strict=True)]
        self.sum_s += sum_s

    def cumulative(self) -> list[tuple[str, float]]:
        """As Prometheus has them: upper bound and how many are no longer than that."""
        total, rows = 0, []
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self.counts, strict=True):
            total += count
            rows.append((bound, float(total)))
        return rows
