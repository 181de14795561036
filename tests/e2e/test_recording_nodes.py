"""A session that changes its node is one recording, where nodes share the directory of recordings."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.inside import names
from tests.e2e.node import pushing
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
