"""Ingest as Prometheus metrics, made from the tally when somebody asks. No label has a value from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from config.families import counters, gauge, gauges, histograms
from ingest.broadcasts import Broadcasts

_BY_TIER: Final = {
    "frames_encoded": "pictures encoded, over all renditions",
    "frames_dropped": "pictures of the source that were not shown: surplus, damaged, or the session was behind",
    "frames_repeated": "ticks on which the picture before was shown again",
}
_SECONDS_BY_TIER: Final = {
    "frozen": "media seconds of ladder sessions without a new picture: the last one, or the slate",
    "encoded": "media seconds encoded, over all renditions",
    "encoding": "seconds that encoders took for them; encoded/encoding is the encode speed",
}


class IngestMetrics(Collector):
    """The sessions of a node and what was counted of them."""

    def __init__(self, broadcasts: Broadcasts) -> None:
        self._broadcasts = broadcasts

    def describe(self) -> list[Metric]:
        """None in advance: a registry would collect to find them out."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        self._broadcasts.count_usage()
        yield from self._sessions()
        yield from self._counted()
        yield from self._measured()

    def _sessions(self) -> Iterator[Metric]:
        sessions: Counter[tuple[str, str, str]] = Counter()
        backlog: dict[str, int] = {}
        drift_s: dict[str, float] = {}
        rtt_s = 0.0
        waiting = 0
        for broadcast in self._broadcasts.all():
            tier = broadcast.stream.quality
            sessions[broadcast.phase, tier, broadcast.protocol] += 1
            rtt_s = max(rtt_s, broadcast.rtt_ms / 1000)
            waiting += broadcast.transitions.waiting
            if broadcast.stats is not None:
                backlog[tier] = max(backlog.get(tier, 0), broadcast.stats.backlog)
                drift_s[tier] = max(drift_s.get(tier, 0.0), abs(broadcast.stats.av_drift_s))
        yield gauges("sessions", "sessions on this node", ("state", "tier", "protocol"), sessions)
        yield gauges("backlog_units", "units that wait in the slowest session", ("tier",), backlog)
        yield gauges("av_drift_seconds", "sound from its place, in the worst session", ("tier",), drift_s)
        yield gauge("srt_rtt_seconds", "round trip to the farthest SRT encoder", rtt_s)
        yield gauge("transitions_waiting", "state changes that wait for Redis", waiting)
        capacity = self._broadcasts.capacity
        yield gauge("capacity_units", "what the node carries: millions of pixels encoded in a second", capacity.units)
        yield gauge("capacity_used_units", "what its sessions need of that", capacity.used)
        yield gauge("full", "1 while the node is not ready because its capacity is used up", int(capacity.is_full))
        yield gauge("draining", "1 while publishers are sent on", int(self._broadcasts.draining))

    def _counted(self) -> Iterator[Metric]:
        tally = self._broadcasts.tally
        yield counters(
            "publishers_refused", "publishers refused after their key was read", ("protocol", "reason"), tally.refused
        )
        yield counters("sessions_failed", "sessions that ended in error", ("tier", "code"), tally.failed)
        yield counters("disconnects", "encoders that left a session", ("tier",), tally.disconnects)
        yield counters("reconnects", "encoders that came back to their session", ("tier",), tally.reconnects)
        yield counters(
            "workers_replaced", "session workers that died and were replaced", ("tier",), tally.workers_replaced
        )
        yield counters("encoder_away_seconds", "seconds of sessions without an encoder", ("tier",), tally.away_s)
        yield counters("ingest_bytes", "media bytes from encoders", ("protocol",), tally.media_bytes)
        yield counters("srt_packets", "SRT packets; dropped ones are gaps", ("outcome",), tally.srt_packets)
        yield histograms(
            "time_to_live_seconds",
            "from publish to the first part of every rendition",
            ("tier", "protocol"),
            tally.time_to_live,
        )

    def _measured(self) -> Iterator[Metric]:
        tally = self._broadcasts.tally
        for name, text in _BY_TIER.items():
            yield counters(name, text, ("tier",), {tier: n for (tier, what), n in tally.counts.items() if what == name})
        for name, text in _SECONDS_BY_TIER.items():
            values = {tier: s for (tier, what), s in tally.seconds.items() if what == name}
            yield counters(f"{name}_seconds", text, ("tier",), values)
        cpu_s = {tier: s for (tier, what), s in tally.seconds.items() if what == "cpu"}
        yield counters("worker_cpu_seconds", "CPU time of session workers", ("tier",), cpu_s)
        stages = {key: taken for key, taken in tally.durations.items() if key[1] != "lateness"}
        yield histograms(
            "stage_seconds",
            "time of a picture in a stage; `part`: media socket to published part",
            ("tier", "stage"),
            stages,
        )
        late = {tier: taken for (tier, stage), taken in tally.durations.items() if stage == "lateness"}
        yield histograms(
            "part_lateness_seconds", "a part after the one before it, beyond its target duration", ("tier",), late
        )
