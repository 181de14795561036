"""The origin as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from config.families import counter, counters, gauge, gauges
from packager.conformance.guard import Guard
from packager.live_sessions import LiveSessions
from packager.viewers import Viewers


class OriginMetrics(Collector):
    """What viewers get of this process."""

    def __init__(self, sessions: LiveSessions, guard: Guard, viewers: Viewers) -> None:
        self._sessions = sessions
        self._guard = guard
        self._viewers = viewers

    def describe(self) -> list[Metric]:
        """None in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        yield gauges(
            "viewers",
            "players that got a live playlist within 20 s, told apart by address and agent; by their video rendition",
            ("rendition",),
            self._viewers.by_rendition(),
        )
        yield gauge("held_requests", "requests that wait for a playlist or a part", self._sessions.held_requests)
        yield gauge("watched_sessions", "sessions in the origin's memory", len(self._sessions))
        yield counter(
            "conformance_checks", "versions of playlists held against the rules of LL-HLS", self._guard.looked_at
        )
        yield counters(
            "conformance_violations", "rules that were broken by what is published", ("rule",), self._guard.violations
        )
