"""HEVC, AV1, VP9 and Opus over Enhanced RTMP, from a real ffmpeg, in passthrough and as the source of a ladder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clips import synthetic_clip
from tests.e2e.browser import open_page
from tests.e2e.node import Node, pushing, wait_until
from tests.e2e.test_sources import Source, check_audio, check_parts, check_video
from tests.e2e.viewer import watch

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENCODERS = {
    "hevc": (("-c:v", "libx265", "-x265-params", "log-level=error:bframes=2"), "hvc1.1.6.L"),
    "av1": (("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1"), "av01.0."),
    "vp9": (("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"), "vp09.00."),
}


def clip_of(clips: Path, codec: str) -> Path:
    path = clips / f"{codec}.flv"
    if not path.is_file():
        video, _ = ENCODERS[codec]
        synthetic_clip(
            path, size="640x360", video=video, audio=("-c:a", "libopus") if codec == "av1" else ("-c:a", "aac")
        )
    return path


@pytest.mark.parametrize("codec", list(ENCODERS))
async def test_it_passes_through_as_it_is(node: Node, clips: Path, codec: str) -> None:
    stream = await node.create(quality="passthrough")
    async with pushing(clip_of(clips, codec), stream["ingest"]["rtmpFullUrl"]):
        live = await node.wait_for_state(stream["streamId"], "live", "error")
        assert live["state"] == "live", node.log_text()
        watched = await watch(node, stream["playback"]["hlsUrl"])
        master = await node.playlist(stream["playback"]["hlsUrl"])
    assert set(watched) == {"source", "audio"}
    check_video(watched["source"], (640, 360), Source(name=codec, quality="passthrough"))
    check_audio(watched["audio"], silent=False)
    for rendition in watched.values():
        check_parts(rendition)
    assert master.playlists[0].stream_info.frame_rate == 30
    codecs = master.playlists[0].stream_info.codecs
    assert codecs.startswith(ENCODERS[codec][1]) and codecs.endswith(",Opus" if codec == "av1" else ",mp4a.40.2")


async def test_av1_with_opus_plays_in_a_browser(node: Node, clips: Path) -> None:
    stream = await node.create(quality="passthrough")
    async with (
        pushing(clip_of(clips, "av1"), stream["ingest"]["rtmpFullUrl"]),
        open_page(f"{node.base_url}/player/{stream['edgeId']}") as page,
    ):

        async def plays() -> bool:
            stats = await page.evaluate("window.antlivePlayer.stats()")
            time_s = await page.evaluate("document.querySelector('video').currentTime")
            heard = await page.evaluate("document.querySelector('video').webkitAudioDecodedByteCount")
            return bool(stats["playing"]) and time_s > 1 and heard > 0

        await wait_until(plays, "a second of picture with sound", 40, node.log_text)


@pytest.mark.parametrize("codec", list(ENCODERS))
async def test_it_is_a_source_of_the_ladder(node: Node, clips: Path, codec: str) -> None:
    stream = await node.create(quality="standard")
    async with pushing(clip_of(clips, codec), stream["ingest"]["rtmpFullUrl"]):
        live = await node.wait_for_state(stream["streamId"], "live", "error")
        assert live["state"] == "live", node.log_text()
        watched = await watch(node, stream["playback"]["hlsUrl"])
    check_video(watched["360p"], (640, 360), Source(name=codec))
    check_audio(watched["audio"], silent=False)
