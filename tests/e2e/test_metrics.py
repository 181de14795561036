"""One scrape shows the node: what its roles and session workers measure while a real encoder publishes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.node import Node, pushing, running_node, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Scrape:
    """The samples of one answer."""

    def __init__(self, text: str) -> None:
        self.text = text
        families = list(text_string_to_metric_families(text))
        assert len({family.name for family in families}) == len(families)  # one group each
        self.samples = [sample for family in families for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """The sum over all samples with at least these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == f"antlive_{name}" and labels.items() <= sample.labels.items()
        )


async def scrape(node: Node) -> Scrape:
    return Scrape(await node.text(f"{node.base_url}/metrics"))


async def scrape_until(node: Node, condition: Callable[[Scrape], bool], what: str) -> Scrape:
    """The first scrape for which the condition holds."""
    found: list[Scrape] = []

    async def holds() -> bool:
        found[:] = [await scrape(node)]
        return condition(found[0])

    await wait_until(holds, what, 30, lambda: found[0].text)
    return found[0]


async def test_a_ladder_session_shows_in_the_metrics_of_the_node(tmp_path: Path, tiny_clip: Path) -> None:
    async with running_node(tmp_path, ANTLIVE_RECONNECT_WINDOW_S="30", ANTLIVE_CAPACITY_UNITS=None) as node:
        idle = await scrape_until(node, lambda now: now.sum("event_leader") == 1, "a leader")
        assert idle.sum("ingest_up") == idle.sum("recorder_up") == 1 and idle.sum("redis_up") == 3
        assert idle.sum("sessions") == 0
        measured = await scrape_until(node, lambda now: now.sum("capacity_units") > 0, "a measured capacity")
        assert measured.sum("capacity_used_units") == measured.sum("full") == 0
        assert {sample.labels["role"] for sample in idle.samples if "process_open_files" in sample.name} == {
            "web", "ingest", "recorder",
        }  # fmt: skip
        stream = await node.create(quality="standard", recording=True)
        tier = {"tier": "standard"}
        async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]):
            live = await scrape_until(
                node,
                lambda now: (
                    now.sum("sessions", state="live", protocol="rtmp", **tier) == 1
                    and now.sum("stage_seconds_count", stage="part") > 6
                ),
                "a live session",
            )
            await node.text(stream["playback"]["hlsUrl"])
            assert (await scrape(node)).sum("viewers") == 1

            async def is_counted() -> bool:
                playback = (await node.stream(stream["streamId"]))["playback"]
                return bool(playback["viewers"] == 1)

            await wait_until(is_counted, "a viewer in the API")
        assert live.sum("time_to_live_seconds_count", protocol="rtmp", **tier) == 1
        assert 0 < live.sum("capacity_used_units") < live.sum("capacity_units")
        assert 0 < live.sum("time_to_live_seconds_sum") < 15
        for stage in ("queue", "decode", "scale", "encode", "part"):
            count = live.sum("stage_seconds_count", stage=stage)
            assert count > 0 and live.sum("stage_seconds_sum", stage=stage) / count < 2.0
            assert live.sum("stage_seconds_bucket", stage=stage, le="+Inf") == count
        assert live.sum("frames_encoded_total") > 30
        assert live.sum("encoded_seconds_total") / live.sum("encoding_seconds_total") > 1  # faster than real time
        assert live.sum("part_lateness_seconds_count") > 6
        assert live.sum("worker_cpu_seconds_total", **tier) > 0
        assert live.sum("ingest_bytes_total", protocol="rtmp") > 10_000
        assert live.sum("conformance_violations_total") == 0
        away = await scrape_until(node, lambda now: now.sum("frozen_seconds_total") > 2, "a frozen picture")
        assert away.sum("sessions", state="reconnecting") == 1 and away.sum("disconnects_total") == 1
        assert away.sum("encoder_away_seconds_total", **tier) > 1
        assert away.sum("frames_repeated_total") > 30
        assert away.sum("recording_sessions") == 1 and away.sum("recorded_segments_total") > 2
        assert away.sum("recorded_bytes_total") > 10_000 and away.sum("recording_missed_segments_total") == 0
        for secret in (stream["ingest"]["streamKey"], stream["streamId"], stream["edgeId"], node.api_key):
            assert secret not in away.text


async def test_srt_packets_and_refusals_are_counted(node: Node, tiny_clip: Path) -> None:
    before = await scrape(node)
    stream = await node.create(quality="passthrough")
    async with pushing(tiny_clip, stream["ingest"]["srtFullUrl"], container="mpegts"):
        found = await scrape_until(
            node,
            lambda now: (
                now.sum("srt_packets_total", outcome="received")
                > before.sum("srt_packets_total", outcome="received") + 20
                and now.sum("stage_seconds_count", stage="part", tier="passthrough") > 3
            ),
            "SRT packets",
        )
        assert found.sum("sessions", protocol="srt", tier="passthrough") == 1
        async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]) as second:
            assert await asyncio.wait_for(second.wait(), 10) != 0
        refused = (await scrape(node)).sum("publishers_refused_total", reason="already_publishing", protocol="rtmp")
        assert refused == before.sum("publishers_refused_total", reason="already_publishing", protocol="rtmp") + 1
