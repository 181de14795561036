"""A session that changes its node is one recording; where nodes share no directory, each plays its part of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.inside import names
from tests.e2e.node import Node, pushing, wait_until
from tests.e2e.test_nodes import kill, rtmp_url, shared_redis, two_nodes
from tests.e2e.test_recording import media, packets_of, playlists, wait_for_recording

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_node_is_lost_and_its_recording_goes_on(tmp_path: Path, tiny_clip: Path) -> None:
    shared = {
        "ANTLIVE_RECORDINGS_DIR": str(tmp_path / "recordings"),
        "ANTLIVE_RECORDING_RESERVE_MB": "1",
        "ANTLIVE_RECONNECT_WINDOW_S": "8",
    }
    async with shared_redis() as server, two_nodes(tmp_path, server, **shared) as pair:
        stream = await pair.a.create(recording=True)
        stream_id, url = stream["streamId"], stream["ingest"]["rtmpFullUrl"]
        async with pushing(tiny_clip, url):
            before = await wait_for_recording(pair.a, stream_id, "recording", duration_s=4)
            kill(pair.a)
        async with pushing(tiny_clip, rtmp_url(pair.b, url)):
            await wait_for_recording(pair.b, stream_id, "recording", duration_s=before["duration"] + 6)
        ready = await wait_for_recording(pair.b, stream_id, "ready", timeout_s=30)
        assert ready["id"] == before["id"] and ready["startedAt"] == before["startedAt"]
        assert len(list((tmp_path / "recordings" / ready["id"]).glob("*.jsonl"))) == 2
        assert len(ready["gaps"]) == 1 and 1 < ready["gaps"][0]["duration"] < 20, ready["gaps"]
        ready["hlsUrl"] = pair.at(pair.b, ready["hlsUrl"])
        for name, (text, playlist) in (await playlists(pair.b, ready)).items():
            assert text.count("#EXT-X-DISCONTINUITY\n") == 1 and text.count("#EXT-X-MAP") == 2, text
            # Where the date of a segment is, there it is in the playlist: the gap is as long as it was.
            dated = [(segment.program_date_time, segment.duration) for segment in playlist.segments]
            for (date, duration), (following, _) in pairwise(dated):
                assert abs((following - date).total_seconds() - duration) < 0.3, text
            split = next(index for index, segment in enumerate(playlist.segments) if segment.discontinuity)
            assert split > 0 and sum(segment.duration for segment in playlist.segments) == pytest.approx(
                ready["duration"], abs=0.2
            )
            del playlist.segments[split:]
            assert packets_of(await media(pair.b, playlist), "audio" if name == "audio" else "video")
        data = await pair.b.bytes(pair.at(pair.b, ready["mp4Url"]))
        video, audio = packets_of(data, "video"), packets_of(data, "audio")
        assert video[-1][1] == pytest.approx(audio[-1][1], abs=0.2)
        assert video[-1][1] == pytest.approx(ready["duration"], abs=0.5)
        events = names(await pair.events(stream_id))
        assert [name for name in events if name.startswith("recording.")] == ["recording.started", "recording.ready"]


async def test_an_encoder_that_goes_to_another_node_leaves_two_parts_that_play(tmp_path: Path, tiny_clip: Path) -> None:
    own = {"ANTLIVE_RECORDING_RESERVE_MB": "1", "ANTLIVE_RECONNECT_WINDOW_S": "5"}
    async with shared_redis() as server, two_nodes(tmp_path, server, **own) as pair:
        stream = await pair.a.create(recording=True, quality="passthrough")
        stream_id, url = stream["streamId"], stream["ingest"]["rtmpFullUrl"]
        async with pushing(tiny_clip, url):
            before = await wait_for_recording(pair.a, stream_id, "recording", duration_s=3)
        async with pushing(tiny_clip, rtmp_url(pair.b, url)):
            await wait_for_recording(pair.b, stream_id, "recording", duration_s=before["duration"] + 3)
        ready = await wait_for_recording(pair.b, stream_id, "ready", timeout_s=30)
        assert ready["id"] == before["id"] and ready["startedAt"] == before["startedAt"], ready

        async def is_closed() -> bool:
            texts = [text for text, _ in (await playlists(pair.a, _at(pair.a, ready))).values()]
            return all(text.endswith("#EXT-X-ENDLIST\n") for text in texts)

        await wait_until(is_closed, "the first node's part to be closed", 75)
        # What the first node stored last it may have told after the second closed the recording.
        ready = await wait_for_recording(pair.a, stream_id, "ready")
        plays_s = 0.0
        for node, part in zip((pair.a, pair.b), ready["parts"], strict=True):
            found = await playlists(node, _at(node, ready))
            listed_s = [sum(segment.duration for segment in playlist.segments) for _, playlist in found.values()]
            assert max(listed_s) == pytest.approx(part["duration"], abs=0.2)
            data = await node.bytes(_at(node, ready)["mp4Url"])
            assert packets_of(data, "video")[-1][1] == pytest.approx(part["duration"], abs=0.5)
            plays_s += part["duration"]
        assert ready["size"] == sum(part["size"] for part in ready["parts"])
        between_s = sum(gap["duration"] for gap in ready["gaps"] if gap["reason"] == "not_recorded")
        assert between_s < 20 and ready["duration"] == pytest.approx(plays_s + between_s, abs=0.6), str(ready)


def _at(node: Node, recording: dict[str, Any]) -> dict[str, Any]:
    """The same recording at this node."""
    urls = {name: f"{node.base_url}/{recording[name].split('/', 3)[3]}" for name in ("hlsUrl", "mp4Url")}
    return recording | urls
