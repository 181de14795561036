"""Ingest health: what is told, what is warned of, and what Redis has of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.session import Health
from ingest.admission import PublishRequest
from ingest.health import ConnectionHealth, clean_name
from ingest.health_warnings import STEADY_REPORTS, WARNINGS
from streams.health import IngestHealth
from streams.store import StreamStore
from tests.ingest.fakes import FakeConnection, node_of, wait_until

VIDEO = {"codec": "h264", "width_px": 1280, "height_px": 720, "fps_declared": 30.0, "fps_measured": 30.0, "gop_s": 2.0}
AUDIO = {"codec": "aac", "sample_rate_hz": 48000, "channels": 2, "bitrate_bps": 128_000}
SRT = {
    "rtt_ms": 20.0, "packets_received": 1000, "packets_lost": 0, "packets_retransmitted": 0, "packets_dropped": 0,
    "packets_belated": 0, "packets_undecrypted": 0, "receive_buffer_ms": 120, "receive_rate_bps": 3_000_000,
}  # fmt: skip


def measured(**changes: Any) -> dict[str, Any]:
    """A report of a good source, with changes; `video_…` and `audio_…` change those."""
    fields: dict[str, Any] = {"bitrate_bps": 3_000_000, "timestamp_jumps": 0}
    fields["video"] = {**VIDEO, "bitrate_bps": 2_800_000}
    fields["audio"] = dict(AUDIO)
    for name, value in changes.items():
        kind, _, inner = name.partition("_")
        if kind in ("video", "audio") and inner:
            fields[kind][inner] = value
        else:
            fields[name] = value
    return {name: value for name, value in fields.items() if value is not None}


def connection(quality: str = "standard", srt: dict[str, Any] | None = None, encoder: str = "test") -> ConnectionHealth:
    request = PublishRequest(
        key="sk_unused", protocol="srt" if srt else "rtmp", remote_address="test:1", encoder=encoder,
        connection=FakeConnection(), transport=lambda: srt,
    )  # fmt: skip
    return ConnectionHealth(request, quality)


def codes(health: IngestHealth) -> list[str]:
    return [warning.code for warning in health.warnings]


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("GOP_TOO_LONG", {"video_gop_s": 10.0}),
        ("NO_VIDEO", {"video": None}),
        ("NO_AUDIO", {"audio": None}),
        ("FPS_BELOW_DECLARED", {"video_fps_measured": 20.0}),
        ("BITRATE_TOO_HIGH", {"bitrate_bps": 20_000_000}),
        ("AUDIO_RATE_UNUSUAL", {"audio_sample_rate_hz": 22050}),
    ],
)
def test_a_fault_that_stays_is_warned_of_and_is_over_when_it_is(code: str, changes: dict[str, Any]) -> None:
    health = connection()
    assert codes(health.update(measured())[0]) == []
    for _ in range(STEADY_REPORTS - 1):
        assert codes(health.update(measured(**changes))[0]) == []
    now, came, went = health.update(measured(**changes))
    assert (codes(now), came, went) == ([code], [code], [])
    assert health.update(measured(**changes))[1:] == ([], [])
    for _ in range(STEADY_REPORTS - 1):
        assert codes(health.update(measured())[0]) == [code]
    now, came, went = health.update(measured())
    assert (codes(now), came, went) == ([], [], [code])


def test_a_blink_is_no_warning() -> None:
    health = connection()
    for n in range(10):
        now, came, _ = health.update(measured(video_gop_s=10.0 if n % 2 else 2.0))
        assert codes(now) == came == []


@pytest.mark.parametrize(
    ("warned_of", "fields"),
    [
        (["SRT_LOSS"], ["packets_dropped"]),
        (["SRT_LOSS", "SRT_LATENCY_TOO_LOW"], ["packets_dropped", "packets_belated"]),
        ([], ["packets_belated"]),  # retransmitted once more than needed: nothing is missing
    ],
)
def test_what_srt_could_not_repair_is_warned_of(warned_of: list[str], fields: list[str]) -> None:
    srt = dict(SRT)
    health = connection(srt=srt)
    health.update(measured())
    for _ in range(STEADY_REPORTS):
        srt["packets_received"] += 500
        for field in fields:
            srt[field] += 50
        now, *_ = health.update(measured())
    assert codes(now) == warned_of
    assert now.srt is not None and now.srt.packets_received == srt["packets_received"]


def test_jumps_are_warned_of_while_they_happen() -> None:
    health = connection()
    for jumps in range(STEADY_REPORTS + 1):
        now, *_ = health.update(measured(timestamp_jumps=jumps))
    assert codes(now) == ["TIMESTAMP_JUMPS"]
    for _ in range(STEADY_REPORTS):
        now, *_ = health.update(measured(timestamp_jumps=jumps))
    assert codes(now) == []


def test_a_message_says_what_to_do() -> None:
    health = connection()
    for _ in range(STEADY_REPORTS + 1):
        now, *_ = health.update(measured(video_gop_s=10.0))
    assert now.warnings[0].message == "keyframes are 10.0 s apart; set the encoder's keyframe interval to 2 s or less"


def test_every_warning_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs/ingest-health.md").read_text()
    assert [code for code in WARNINGS if f"`{code}`" not in page] == []


@pytest.mark.parametrize(
    ("name", "clean"),
    [("Lavf61.7", "Lavf61.7"), ("a\x00b\nc", "abc"), ("x" * 500, "x" * 128), ("my sk_abcDEF0123 box", "my … box")],
)
def test_the_name_of_an_encoder_is_text_and_no_key(name: str, clean: str) -> None:
    assert clean_name(name) == clean


async def test_health_is_in_redis_while_the_encoder_is_there(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        encoder = await node.publish()
        tell = node.worker.reports[node.worker.session_id]
        with capture_logs() as logs:
            for _ in range(STEADY_REPORTS + 3):
                tell(Health(session_id=node.worker.session_id, fields=measured(video_gop_s=10.0)))

        async def there() -> bool:
            found = await store.health(node.stream.stream_id)
            return found is not None and codes(found) == ["GOP_TOO_LONG"]

        await wait_until(there, lambda: "health in Redis")
        assert [entry["code"] for entry in logs if entry["event"] == "ingest_warning"] == ["GOP_TOO_LONG"]
        assert 0 < await store.redis.ttl(store.keys.health(node.stream.stream_id)) <= 10
        encoder.leave()

        async def gone() -> bool:
            return await store.health(node.stream.stream_id) is None

        await wait_until(gone, lambda: "no health")
        # A report that was on its way comes to nobody.
        tell(Health(session_id=node.worker.session_id, fields=measured()))
        assert await gone()


async def test_a_report_that_makes_no_sense_is_logged_and_ends_nothing(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        encoder = await node.publish()
        with capture_logs() as logs:
            node.worker.reports[node.worker.session_id](
                Health(session_id=node.worker.session_id, fields={"bitrate_bps": "many"})
            )
        assert [entry["event"] for entry in logs] == ["health_not_understood"]
        assert encoder.closed == []
