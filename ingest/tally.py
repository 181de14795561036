"""What ingest counts for whoever watches it: plain numbers, which `ingest.metrics` shows. Keys hold no ids."""

from __future__ import annotations

from collections import Counter, defaultdict

import structlog

from config.measures import Durations
from config.session import Stats

log = structlog.get_logger()


class Tally:
    """One node's. A tier is a stream's quality."""

    def __init__(self) -> None:
        self.refused: Counter[tuple[str, str]] = Counter()
        """Publishers by protocol and `admission.Refusal`."""
        self.failed: Counter[tuple[str, str]] = Counter()
        """Sessions by tier and what their worker said."""
        self.disconnects: Counter[str] = Counter()
        self.reconnects: Counter[str] = Counter()
        self.workers_replaced: Counter[str] = Counter()
        self.away_s: defaultdict[str, float] = defaultdict(float)
        """For how long sessions had no encoder, by tier."""
        self.time_to_live: defaultdict[tuple[str, str], Durations] = defaultdict(Durations)
        """From the accepted publish to the first part of every rendition, by tier and protocol."""
        self.media_bytes: Counter[str] = Counter()
        """From encoders, by protocol."""
        self.srt_packets: Counter[str] = Counter()
        """By the words of `streams.health.SrtHealth` that count packets."""
        self.counts: Counter[tuple[str, str]] = Counter()
        """What session workers count, by tier and name; see `transcode.meter`."""
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.durations: defaultdict[tuple[str, str], Durations] = defaultdict(Durations)

    def srt_refused(self, reason: str) -> None:
        """A key was refused in an SRT handshake."""
        self.refused["srt", reason] += 1

    def take(self, tier: str, stats: Stats) -> None:
        """Add what a session has measured since its last report."""
        for name, number in stats.counts.items():
            self.counts[tier, name] += number
        for name, seconds in {**stats.seconds, "cpu": stats.cpu_s}.items():
            self.seconds[tier, name] += seconds
        for stage, (counts, sum_s) in stats.durations.items():
            try:
                self.durations[tier, stage].add(counts, sum_s)
            except ValueError as error:  # a worker of another version, which was adopted
                log.debug("stats_not_understood", stage=stage, error=str(error))
