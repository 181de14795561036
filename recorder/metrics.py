"""The recorder as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from config.families import counter, gauge
from recorder.recorder import Recorder
from recorder.spool import Spool
from recorder.uploader import Uploader


class RecorderMetrics(Collector):
    """What is recorded on this node, and what of it waits. Without a store nothing is uploaded."""

    def __init__(self, recorder: Recorder, spool: Spool | None = None, uploader: Uploader | None = None) -> None:
        self._recorder = recorder
        self._spool = spool
        self._uploader = uploader

    def describe(self) -> list[Metric]:
        """None in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        sessions = self._recorder.recorded_sessions()
        tally = self._recorder.tally
        yield gauge("recording_sessions", "sessions that are being recorded", len(sessions))
        stalled = sum(1 for session in sessions if session.problem)
        yield gauge("recording_stalled_sessions", "those of which nothing can be stored at the moment", stalled)
        lag_s = max((session.lag_s for session in sessions), default=0.0)
        yield gauge("recording_lag_seconds", "how long the oldest published segment waits to be stored", lag_s)
        yield counter("recorded_segments", "segments stored", tally.segments)
        yield counter("recorded_bytes", "bytes of segments stored", tally.bytes)
        yield counter("recording_missed_segments", "segments that could not be had any more: gaps", tally.missed)
        spool, uploader = self._spool, self._uploader
        spool_bytes, upload_lag_s = (spool.size_bytes, spool.lag_s) if spool else (0, 0.0)
        yield gauge("recording_spool_bytes", "bytes that wait to be uploaded", spool_bytes)
        yield gauge("recording_upload_lag_seconds", "how long the oldest file waits to be uploaded", upload_lag_s)
        uploaded_bytes, failed = (uploader.uploaded_bytes, uploader.failed) if uploader else (0, 0)
        yield counter("recording_uploaded_bytes", "bytes that the store has", uploaded_bytes)
        yield counter("recording_upload_failures", "uploads that failed and are tried again", failed)
