"""What the API does to a stream that a real encoder publishes to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.clips import synthetic_clip
from tests.e2e.node import Node, pushing, running_node


async def _call(node: Node, method: str, path: str) -> tuple[int, Any]:
    async with node.http.request(method, f"{node.api_url}/{path}", headers=node.auth) as response:
        return response.status, await response.json() if response.status != 204 else None


async def test_end_cuts_the_encoder_and_keeps_the_key_and_rotate_kills_it(tmp_path: Path) -> None:
    source = synthetic_clip(tmp_path / "source.flv", size="640x360")
    async with running_node(tmp_path) as node:
        created = await node.create(quality="passthrough")
        stream_id, url = created["streamId"], created["ingest"]["rtmpFullUrl"]
        for _ in range(2):
            async with pushing(source, url) as encoder:
                await node.wait_for_state(stream_id, "live")
                for method, path in (("POST", "/rotate-key"), ("DELETE", "")):
                    status, body = await _call(node, method, stream_id + path)
                    assert (status, body["error"]["code"]) == (409, "stream_busy")
                status, body = await _call(node, "POST", stream_id + "/end")
                assert (status, body["state"]) == (200, "ended")
                # The encoder is cut off: it ends by itself.
                assert await asyncio.wait_for(encoder.wait(), 10) is not None
            assert (await node.stream(stream_id))["state"] == "ended"
        master = await node.playlist(created["playback"]["hlsUrl"])
        media = await node.text(master.playlists[0].absolute_uri)
        assert "#EXT-X-ENDLIST" in media

        status, rotated = await _call(node, "POST", stream_id + "/rotate-key")
        assert status == 200
        async with pushing(source, url) as encoder:
            assert await asyncio.wait_for(encoder.wait(), 10) != 0
        async with pushing(source, rotated["rtmpFullUrl"]):
            await node.wait_for_state(stream_id, "live")
            await _call(node, "POST", stream_id + "/end")
        assert await _call(node, "DELETE", stream_id) == (204, None)
        for key in (created["ingest"]["streamKey"], rotated["streamKey"], node.api_key):
            assert key not in node.log_text()
