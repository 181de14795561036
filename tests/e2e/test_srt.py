"""SRT in, HLS out: real ffmpeg, a whole node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ingest.srt.libsrt import library
from tests.clips import synthetic_clip
from tests.e2e.node import Node, pushing, running_node, wait_until
from tests.e2e.test_sources import Source, check_alignment, check_audio, check_parts, check_video
from tests.e2e.viewer import watch
from tests.srt.caller import Rejected, calling

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = {"360p": (640, 360)}
AUDIO = {
    "aac": ("-c:a", "copy"),
    "mp2": ("-c:a", "mp2", "-ar", "48000"),
    "mp3": ("-c:a", "libmp3lame", "-ar", "44100"),
    "ac3": ("-c:a", "ac3"),
    "eac3": ("-c:a", "eac3"),
    "opus": ("-c:a", "libopus"),
}
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=2")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def private_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A node that wants a passphrase and listens on IPv4 and IPv6."""
    directory = tmp_path_factory.mktemp("private")
    async with running_node(directory, ANTLIVE_SRT_PASSPHRASE="correct horse battery", ANTLIVE_BIND="::") as running:
        yield running


@pytest.fixture(scope="module")
def clip(clips: Path) -> Path:
    return synthetic_clip(clips / "srt.flv", size="640x360", video=("-bf", "2", "-x264-params", "b-adapt=0"))


def srt_url(node: Node, stream: dict[str, Any]) -> str:
    return f"{node.srt_url}?streamid=#!::r=live/{stream['ingest']['streamKey']},m=publish"


@pytest.mark.parametrize(("quality", "sizes"), [("standard", SMALL), ("passthrough", {"source": (640, 360)})])
async def test_srt_plays(node: Node, clip: Path, quality: str, sizes: dict[str, tuple[int, int]]) -> None:
    stream = await node.create(quality=quality)
    async with pushing(clip, stream["ingest"]["srtFullUrl"], container="mpegts"):
        live = await node.wait_for_state(stream["streamId"], "live", "error")
        assert live["state"] == "live", node.log_text()
        watched = await watch(node, stream["playback"]["hlsUrl"])
    assert set(watched) == {*sizes, "audio"}
    for name, size in sizes.items():
        check_video(watched[name], size, Source(name="srt", quality=quality))
    check_audio(watched["audio"], silent=False)
    check_alignment(watched)
    assert stream["ingest"]["streamKey"] not in node.log_text()


@pytest.mark.parametrize("codec", ["mp2", "mp3", "ac3", "eac3", "opus"])
async def test_other_audio_than_aac_plays(node: Node, clip: Path, codec: str) -> None:
    stream = await node.create(quality="passthrough")
    async with pushing(clip, srt_url(node, stream), "-c:v", "copy", *AUDIO[codec], container="mpegts"):
        await node.wait_for_state(stream["streamId"], "live")
        watched = await watch(node, stream["playback"]["hlsUrl"])
        master = await node.playlist(stream["playback"]["hlsUrl"])
    check_audio(watched["audio"], silent=False)
    check_parts(watched["audio"])
    assert master.playlists[0].stream_info.codecs.endswith(",Opus" if codec == "opus" else ",mp4a.40.2")


@pytest.mark.parametrize("quality", ["standard", "passthrough"])
async def test_hevc_plays(node: Node, clips: Path, quality: str) -> None:
    path = synthetic_clip(clips / "hevc-ac3.ts", size="640x360", video=X265, audio=AUDIO["ac3"], container="mpegts")
    stream = await node.create(quality=quality)
    async with pushing(path, srt_url(node, stream), container="mpegts"):
        live = await node.wait_for_state(stream["streamId"], "live", "error")
        assert live["state"] == "live", node.log_text()
        watched = await watch(node, stream["playback"]["hlsUrl"])
        master = await node.playlist(stream["playback"]["hlsUrl"])

        async def measured() -> bool:
            health = (await node.stream(stream["streamId"]))["ingest"].get("health", {})
            return health.get("video", {}).get("fpsMeasured") is not None

        await wait_until(measured, "its health")
        health = (await node.stream(stream["streamId"]))["ingest"]["health"]
    name = "source" if quality == "passthrough" else "360p"
    check_video(watched[name], (640, 360), Source(name="hevc", quality=quality))
    check_audio(watched["audio"], silent=False)
    check_alignment(watched)
    for rendition in watched.values():
        check_parts(rendition)
    codecs = master.playlists[0].stream_info.codecs
    assert codecs.startswith("hvc1.1.6.L63" if quality == "passthrough" else "avc1.")
    video, audio = health["video"], health["audio"]
    assert (video["codec"], video["widthPx"], video["heightPx"]) == ("hevc", 640, 360)
    assert video["codecString"].startswith("hvc1.1.6.L63") and video["fpsDeclared"] == 30
    assert (audio["codec"], audio["sampleRateHz"], audio["channels"]) == ("ac3", 48000, 1)


async def test_a_codec_that_is_not_taken_is_refused_by_name(node: Node, clips: Path) -> None:
    path = synthetic_clip(
        clips / "mpeg2.ts", size="320x180", video=("-c:v", "mpeg2video"), audio=None, container="mpegts"
    )
    stream = await node.create(quality="standard")
    async with pushing(path, srt_url(node, stream), container="mpegts"):
        await node.wait_for_state(stream["streamId"], "error")

    async def said() -> bool:
        return "MPEG-2 is not supported" in node.log_text()

    await wait_until(said, "the reason in the log")


async def test_an_encoder_leaves_over_rtmp_and_comes_back_over_srt_in_the_same_session(node: Node, clip: Path) -> None:
    stream = await node.create(quality="standard")
    stream_id, hls_url = stream["streamId"], stream["playback"]["hlsUrl"]
    async with pushing(clip, stream["ingest"]["rtmpFullUrl"]):
        await node.wait_for_state(stream_id, "live")
        before = await node.playlist(hls_url)
    async with pushing(clip, srt_url(node, stream), container="mpegts"):

        async def connected() -> bool:
            return any("srt_publisher_connected" in line and stream_id in line for line in node.log_lines)

        await wait_until(connected, "the encoder over SRT")
        watched = await watch(node, hls_url, segments=4)
        after = await node.playlist(hls_url)
    assert [playlist.uri for playlist in after.playlists] == [playlist.uri for playlist in before.playlists]
    assert all("DISCONTINUITY" not in rendition.playlist_text for rendition in watched.values())
    check_video(watched["360p"], (640, 360), Source(name="both"))
    check_alignment(watched)


async def test_a_killed_encoder_comes_back_within_the_window(node: Node, clip: Path) -> None:
    stream = await node.create(quality="passthrough")
    for count in (1, 2):
        async with pushing(clip, srt_url(node, stream), container="mpegts"):

            async def connected(count: int = count) -> bool:
                lines = [line for line in node.log_lines if stream["streamId"] in line]
                return sum("srt_publisher_connected" in line for line in lines) == count

            await wait_until(connected, f"connection {count}", 20)
            await node.wait_for_state(stream["streamId"], "live")
        # `pushing` has killed it: SRT notices after some seconds.

        async def gone(count: int = count) -> bool:
            lines = [line for line in node.log_lines if stream["streamId"] in line]
            return sum("srt_publisher_left" in line for line in lines) == count

        await wait_until(gone, f"end {count}", 20)
    assert (await node.stream(stream["streamId"]))["state"] == "live"


async def test_a_newer_caller_takes_over_from_a_silent_one(node: Node) -> None:
    stream = await node.create(quality="passthrough")
    key, port = stream["ingest"]["streamKey"], int(node.srt_url.rsplit(":", 1)[1])
    library().srt_startup()
    try:
        async with calling(port, key) as first:

            async def connected() -> bool:
                lines = [line for line in node.log_lines if stream["streamId"] in line]
                return any("srt_publisher_connected" in line for line in lines)

            await wait_until(connected, "the first caller")
            await first.send()
            with pytest.raises(Rejected) as refused:
                async with calling(port, key):
                    pass
            assert refused.value.code == 1409

            async def taken_over() -> bool:
                async with AsyncExitStack() as stack:
                    try:
                        second = await stack.enter_async_context(calling(port, key))
                    except Rejected:
                        return False
                    await first.wait_for_end()
                    return second.connected

            await wait_until(taken_over, "the newer caller is let in")
    finally:
        library().srt_cleanup()


async def test_a_caller_that_sends_garbage_ends_its_own_stream(node: Node) -> None:
    stream = await node.create(quality="passthrough")
    library().srt_startup()
    try:
        port = int(node.srt_url.rsplit(":", 1)[1])
        async with calling(port, stream["ingest"]["streamKey"]) as caller:
            await node.wait_for_state(stream["streamId"], "connecting")
            for _ in range(100):
                if not caller.connected:
                    break
                await caller.send(b"x" * 1316)
            await node.wait_for_state(stream["streamId"], "error")
            await caller.wait_for_end()
    finally:
        library().srt_cleanup()


async def test_a_passphrase_guards_the_node_over_ipv6_too(private_node: Node, clip: Path) -> None:
    stream = await private_node.create(quality="passthrough")
    port = private_node.srt_url.rsplit(":", 1)[1]
    url = f"srt://[::1]:{port}?streamid=live/{stream['ingest']['streamKey']}"
    async with pushing(clip, url, container="mpegts") as without:
        assert without.stderr is not None
        await without.stderr.read()
        assert await without.wait() != 0
    async with pushing(clip, url + "&passphrase=correct horse battery&pbkeylen=32", container="mpegts"):
        await private_node.wait_for_state(stream["streamId"], "live")
    assert "correct horse" not in private_node.log_text()
