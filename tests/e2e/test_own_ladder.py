"""A ladder of one's own: named by the API, played, counted, and kept by its session."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.e2e.node import Node, pushing, running_node, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOBILE = {
    "mobile": {
        "audio_bitrate_bps": 64_000,
        "renditions": [
            {"height": 288, "bitrate_bps": 600_000, "max_fps": 30},
            {"height": 144, "bitrate_bps": 150_000},
        ],
    }
}


async def test_a_ladder_of_ones_own_is_a_quality_like_the_others(tmp_path: Path, small_clip: Path) -> None:
    async with running_node(tmp_path, ANTLIVE_LADDERS=json.dumps(MOBILE)) as node:
        document = json.loads(await node.text(f"{node.base_url}/openapi.json"))
        for schema in ("CreateStream", "UpdateStream"):
            offered = document["components"]["schemas"][schema]["properties"]["quality"]["enum"]
            assert offered == ["standard", "high", "passthrough", "mobile"]
        body = {"name": "x", "quality": "sport"}
        async with node.http.post(node.api_url, json=body, headers=node.auth) as refused:
            assert refused.status == 400
            assert "'standard', 'high', 'passthrough' or 'mobile', not a string" in await refused.text()
        stream = await node.create(quality="mobile")
        assert stream["quality"] == "mobile"
        async with pushing(small_clip, stream["ingest"]["rtmpFullUrl"]):
            await node.wait_for_state(stream["streamId"], "live")
            master = await node.playlist(stream["playback"]["hlsUrl"])
            # A source that is clearly taller than the best rendition left is none here: nothing fell away.
            sizes = [playlist.stream_info.resolution for playlist in master.playlists]
            assert sizes == [(512, 288), (256, 144)]
            assert [playlist.stream_info.frame_rate for playlist in master.playlists] == [30, 30]
            (audio,) = [media for media in master.media if media.type == "AUDIO"]
            await wait_until(lambda: has_segment(node, urljoin(stream["playback"]["hlsUrl"], str(audio.uri))), "sound")
            metrics = await node.text(f"{node.base_url}/metrics")
            assert 'antlive_sessions{protocol="rtmp",state="live",tier="mobile"} 1.0' in metrics


async def has_segment(node: Node, url: str) -> bool:
    return any(segment.uri for segment in (await node.playlist(url)).segments)
