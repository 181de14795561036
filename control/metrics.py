"""The control plane as Prometheus metrics. Of several control processes one leads and delivers; the others are idle."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from config.families import counter, counters, gauge
from control.event_service import EventService


class ControlMetrics(Collector):
    """Events and webhooks of this process."""

    def __init__(self, service: EventService) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        """None in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        counts = self._service.consumer.counts
        yield gauge("event_leader", "1 while this process delivers events", int(self._service.dispatcher is not None))
        yield gauge(
            "event_lag_seconds", "from the newest handled event to its being queued for webhooks", counts.lag_ms / 1000
        )
        yield counter("events_handled", "events queued for the webhooks that want them", counts.handled)
        yield counter("events_set_aside", "events that could not be understood", counts.set_aside)
        yield counter("events_lost", "events trimmed before they were handled", counts.trimmed)
        yield counter("event_numbering_breaks", "streams whose events had a gap in their numbering", counts.breaks)
        yield counters(
            "webhook_attempts",
            "attempts to deliver; dead ones are given up",
            ("outcome",),
            self._service.webhook_attempts,
        )
