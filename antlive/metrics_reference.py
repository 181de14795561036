"""The reference of all metrics, made from the code that shows them: `python -m antlive.metrics_reference` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from prometheus_client.core import Metric

from antlive.metrics_page import OTHERS
from antlive.process_metrics import ProcessMetrics
from antlive.redis_state import RedisState
from antlive.request_meter import RequestMeter
from config.families import gauges
from config.limits import LIMITS
from config.settings import Settings
from control.event_service import EventService
from control.metrics import ControlMetrics
from control.webhooks.policy import WebhookPolicy
from ingest.broadcasts import Broadcasts
from ingest.metrics import IngestMetrics
from ingest.workers import WorkerPool
from packager.conformance.guard import Guard
from packager.live_sessions import LiveSessions
from packager.metrics import OriginMetrics
from recorder.metrics import RecorderMetrics
from recorder.recorder import Recorder
from recorder.storing import Disk
from recorder.teller import RedisTeller
from streams.connection import open_redis
from streams.recordings import RecordingStore
from streams.store import StreamStore

REFERENCE_FILE = Path(__file__).parent.parent / "docs/metrics.md"
_MARK = "<!-- what follows is generated: python -m antlive.metrics_reference -->"


def all_families() -> list[Metric]:
    """Every metric family that antlive has, without samples to speak of. Asks nobody."""
    redis = open_redis("redis://localhost")
    store = StreamStore(redis)
    broadcasts = Broadcasts(store, cast(WorkerPool, None), Settings(), LIMITS, "node")
    meter = RequestMeter()
    nowhere = Path("/nonexistent")
    sessions = LiveSessions(nowhere)
    recordings = RecordingStore(redis, store.keys)
    collectors = (
        IngestMetrics(broadcasts),
        OriginMetrics(sessions, Guard(0), meter.viewers),
        RecorderMetrics(Recorder(nowhere, Disk(nowhere, 0), "node", RedisTeller(store, recordings, 0))),
        ControlMetrics(EventService(redis, "antlive:", WebhookPolicy())),
        meter,
        ProcessMetrics("web"),
        RedisState("web", redis),
    )
    families = [family for collector in collectors for family in collector.collect()]
    return [
        *families,
        *(gauges(f"{role}_up", f"1 if the node's {role} process answers", (), {}) for role in OTHERS),
    ]


def exposed_name(family: Metric) -> str:
    """The name as queries have it."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def reference() -> str:
    """The page: what stands above the mark by hand, and the table."""
    by_hand = REFERENCE_FILE.read_text().split(_MARK)[0]
    rows = []
    for family in sorted(all_families(), key=exposed_name):
        labels = ", ".join(f"`{label}`" for label in getattr(family, "_labelnames", ()))
        rows.append(f"| `{exposed_name(family)}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(
        [by_hand + _MARK, "", "| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *rows, ""]
    )


if __name__ == "__main__":
    REFERENCE_FILE.write_text(reference())
