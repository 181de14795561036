"""Encoders that drop, return, compete and hang: the session goes on in the same playlist."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
import pytest

from tests.av_sync import flashing_clip, offsets_s
from tests.clips import FFMPEG
from tests.e2e.follower import following
from tests.e2e.inside import events_of, names, wait_for_events
from tests.e2e.node import Node, pushing, wait_until
from tests.e2e.viewer import Watched, watch

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def newest_part(node: Node, url: str) -> tuple[int, int]:
    """Media sequence number and index of the newest part."""
    playlist = await node.playlist(url)
    segments = playlist.segments
    return (playlist.media_sequence or 0) + len(segments) - 1, len(segments[-1].parts)


async def segments_so_far(node: Node, url: str) -> int:
    return len([segment for segment in (await node.playlist(url)).segments if segment.uri])


async def wait_for_event(node: Node, stream_id: str, name: str) -> None:
    async def happened() -> bool:
        return names(await events_of(node, stream_id))[-1] == name

    await wait_until(happened, f"event {name}")


async def test_a_reconnect_of_a_ladder_stream_has_no_seam(node: Node, small_clip: Path) -> None:
    stream = await node.create()
    stream_id, url, hls_url = stream["streamId"], stream["ingest"]["rtmpFullUrl"], stream["playback"]["hlsUrl"]
    async with pushing(small_clip, url):
        await node.wait_for_state(stream_id, "live")
        master = await node.text(hls_url)
        video = urljoin(hls_url, (await node.playlist(hls_url)).playlists[0].uri)
        before = (await watch(node, hls_url, segments=2))["360p"]
    await wait_for_event(node, stream_id, "disconnected")
    left_at = await newest_part(node, video)

    async def went_on() -> bool:
        return (await newest_part(node, video))[0] >= left_at[0] + 2

    await wait_until(went_on, "parts while the encoder is away")
    assert (await node.stream(stream_id))["state"] == "live"
    async with pushing(small_clip, url):
        await wait_for_event(node, stream_id, "reconnected")
        segments = await segments_so_far(node, video) + 2
        watched = await watch(node, hls_url, segments=segments)
        await wait_for_events(node, stream_id, "connecting", "live", "disconnected", "reconnected")
    assert await node.text(hls_url) == master
    for rendition in watched.values():
        assert rendition.first_msn == 0 and "DISCONTINUITY" not in rendition.playlist_text
        assert rendition.playlist_text.count("#EXT-X-MAP") == 1
        assert len(rendition.segments) == segments
    assert watched["360p"].segments[0] == before.segments[0], "what was published does not change"
    assert watched["360p"].independent()
    check_gapless_grid(watched["360p"], seconds=segments * 2)
    check_gapless_audio(watched["audio"], seconds=segments * 2)


async def test_viewers_at_the_live_edge_see_no_seam_when_another_encoder_comes_over_the_other_protocol(
    node: Node, clips: Path
) -> None:
    first = flashing_clip(clips / "flashes-480.flv", size="854x480")
    other = flashing_clip(clips / "flashes-25.flv", size="640x480", fps="25", gop_frames=25, audio_rate_hz=44_100)
    stream = await node.create()
    stream_id, hls_url = stream["streamId"], stream["playback"]["hlsUrl"]
    rtmp_url, srt_url = stream["ingest"]["rtmpFullUrl"], stream["ingest"]["srtFullUrl"]
    async with contextlib.AsyncExitStack() as encoder:
        await encoder.enter_async_context(pushing(first, rtmp_url))
        await node.wait_for_state(stream_id, "live")
        async with following(node, hls_url) as followed:
            video = followed["480p"]

            async def followed_for(seconds: float) -> None:
                until = len(video.parts) + seconds * 3

                async def far_enough() -> bool:
                    return len(video.parts) >= until

                await wait_until(far_enough, f"{seconds} s of parts")

            await followed_for(2.5)
            await encoder.aclose()
            await followed_for(1.5)
            async with pushing(other, srt_url, container="mpegts"):
                await wait_for_event(node, stream_id, "reconnected")
                await followed_for(3)
    assert set(followed) == {"480p", "360p", "audio"}
    for rendition in followed.values():
        assert "DISCONTINUITY" not in rendition.playlist and len(rendition.inits) == 1
        assert rendition.largest_step_s() <= 0.001
        # Whoever plays at PART-HOLD-BACK never runs dry.
        assert rendition.longest_wait_s() < 1.0
    for name in ("480p", "360p"):
        offsets = offsets_s(followed[name].video(), followed["audio"].audio())
        assert len(offsets) >= 4 and max(abs(offset_s) for _at_s, offset_s in offsets) <= 0.040, offsets


def check_gapless_grid(rendition: Watched, seconds: float) -> None:
    frames = rendition.video()
    times_s = [float(frame.pts * frame.time_base) for frame in frames if frame.pts is not None and frame.time_base]
    steps_s = [later - earlier for earlier, later in itertools.pairwise(times_s)]
    assert max(steps_s) - min(steps_s) < 0.001, "the grid has a gap"
    assert len(frames) / 30 == pytest.approx(seconds, abs=2.1)


def check_gapless_audio(rendition: Watched, seconds: float) -> None:
    frames = rendition.audio()
    times = [frame.pts for frame in frames]
    for earlier, later in itertools.pairwise(frames):
        assert earlier.pts is not None and later.pts == earlier.pts + earlier.samples, times
    assert sum(frame.samples for frame in frames) / 48_000 == pytest.approx(seconds, abs=2.1)
    loud = [float(np.abs(frame.to_ndarray()).max()) > 0.01 for frame in frames]
    changes = [now for before, now in itertools.pairwise(loud) if before != now]
    # A tone, silence while nobody sends, the tone again.
    assert loud[len(loud) // 10] and loud[-1] and False in changes, changes


async def test_a_reconnect_of_a_passthrough_stream_goes_on(node: Node, small_clip: Path) -> None:
    stream = await node.create(quality="passthrough")
    stream_id, url, hls_url = stream["streamId"], stream["ingest"]["rtmpFullUrl"], stream["playback"]["hlsUrl"]
    async with pushing(small_clip, url):
        await node.wait_for_state(stream_id, "live")
        master = await node.text(hls_url)
        before = (await watch(node, hls_url, segments=1))["source"]
    await wait_for_event(node, stream_id, "disconnected")
    async with pushing(small_clip, url):
        await wait_for_event(node, stream_id, "reconnected")
        segments = await segments_so_far(node, before.playlist_url) + 2
        watched = await watch(node, hls_url, segments=segments)
    assert (await node.text(hls_url)).count("\n") == master.count("\n")
    for rendition in watched.values():
        assert rendition.first_msn == 0 and "DISCONTINUITY" not in rendition.playlist_text
        times_s = rendition.decode_times_s()
        assert times_s == sorted(times_s)
    assert watched["source"].segments[0] == before.segments[0]
    assert len(watched["source"].video()) > 30 * 4


@asynccontextmanager
async def ffmpeg_viewer(hls_url: str) -> AsyncIterator[Callable[[], int]]:
    """An ffmpeg that plays the stream; how many pictures it has decoded so far."""
    arguments = ["-v", "error", "-i", hls_url, "-map", "0:v:0", "-map", "0:a:0"]
    arguments += ["-f", "null", "-progress", "pipe:1", "-"]
    viewer = await asyncio.create_subprocess_exec(
        FFMPEG, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    frames = [0]

    async def read() -> None:
        assert viewer.stdout is not None
        async for line in viewer.stdout:
            if line.startswith(b"frame="):
                frames.append(int(line.split(b"=")[1]))

    reading = asyncio.create_task(read())
    try:
        yield lambda: frames[-1]
        assert viewer.returncode is None, "the viewer gave up"
    finally:
        with contextlib.suppress(ProcessLookupError):
            viewer.kill()
        await viewer.wait()
        await reading


async def test_another_encoder_in_passthrough_is_a_discontinuity_that_viewers_pass(
    node: Node, small_clip: Path, clips: Path
) -> None:
    other = flashing_clip(clips / "flashes-25.flv", size="640x480", fps="25", gop_frames=25, audio_rate_hz=44_100)
    stream = await node.create(quality="passthrough")
    stream_id, url, hls_url = stream["streamId"], stream["ingest"]["rtmpFullUrl"], stream["playback"]["hlsUrl"]
    async with contextlib.AsyncExitStack() as encoder:
        await encoder.enter_async_context(pushing(small_clip, url))
        await node.wait_for_state(stream_id, "live")
        await watch(node, hls_url, segments=2)
        async with ffmpeg_viewer(hls_url) as frames, following(node, hls_url) as followed:

            async def sees(more: int) -> None:
                until = frames() + more

                async def seen() -> bool:
                    return frames() >= until

                await wait_until(seen, f"{more} pictures in ffmpeg", 20)

            await sees(30)
            await encoder.aclose()
            await wait_for_event(node, stream_id, "disconnected")
            parts = len(followed["source"].parts)
            async with pushing(other, url):
                await wait_for_event(node, stream_id, "reconnected")

                async def went_on() -> bool:
                    return len(followed["source"].parts) >= parts + 9

                await wait_until(went_on, "parts of the other encoder")
                # What was listed before, and then what the other encoder sends.
                await sees(75)
    for rendition in followed.values():
        assert rendition.playlist.count("#EXT-X-DISCONTINUITY\n") == 1 and set(rendition.inits) == {
            "init-0.mp4",
            "init-1.mp4",
        }
        # Audio of two configurations meets within half a packet.
        assert rendition.largest_step_s() <= (0.011 if rendition.name == "audio" else 0.001)


async def test_the_window_of_a_stream_ends_its_session_and_the_next_publish_has_other_uris(
    node: Node, tiny_clip: Path
) -> None:
    stream = await node.create(reconnectWindowSeconds=1)
    stream_id, url, hls_url = stream["streamId"], stream["ingest"]["rtmpFullUrl"], stream["playback"]["hlsUrl"]
    async with pushing(tiny_clip, url):
        await node.wait_for_state(stream_id, "live")
        first = await node.text(hls_url)
    events = await wait_for_events(node, stream_id, "connecting", "live", "disconnected", "ended")
    assert 0.9 < (events[3].at - events[2].at).total_seconds() < 2.0, "the node's own window is 20 s"
    assert events[3].reason == "window_over"
    media = urljoin(hls_url, (await node.playlist(hls_url)).playlists[0].uri)
    assert (await node.text(media)).endswith("#EXT-X-ENDLIST\n")
    async with pushing(tiny_clip, url):
        await node.wait_for_state(stream_id, "live")
        second = await node.text(hls_url)
    assert not set(re.findall("se_[0-9a-z]{26}", first)) & set(re.findall("se_[0-9a-z]{26}", second))


async def test_a_second_publisher_is_refused_and_a_silent_one_is_taken_over(node: Node, tiny_clip: Path) -> None:
    stream = await node.create()
    stream_id, url = stream["streamId"], stream["ingest"]["rtmpFullUrl"]
    async with pushing(tiny_clip, url) as first:
        await node.wait_for_state(stream_id, "live")
        async with pushing(tiny_clip, url) as second:
            assert await asyncio.wait_for(second.wait(), 5) != 0
        assert first.returncode is None
        await wait_for_events(node, stream_id, "connecting", "live")

        first.send_signal(signal.SIGSTOP)
        accepted = "rtmp_publisher_connected"
        seen = _count(node, accepted, stream_id)

        async def taken_over() -> bool:
            async with pushing(tiny_clip, url) as newer:
                ended = asyncio.ensure_future(newer.wait())
                while not ended.done() and _count(node, accepted, stream_id) == seen:
                    await asyncio.wait([ended], timeout=0.05)
                if ended.done():
                    return False
                first.send_signal(signal.SIGCONT)
                assert await asyncio.wait_for(first.wait(), 10) != 0
                part = await newest_part(node, video)

                async def goes_on() -> bool:
                    return await newest_part(node, video) > part

                await wait_until(goes_on, "parts of the newer encoder")
                assert not ended.done()
                ended.cancel()
                return True

        hls_url = stream["playback"]["hlsUrl"]
        video = urljoin(hls_url, (await node.playlist(hls_url)).playlists[0].uri)
        await wait_until(taken_over, "a take-over")
    await wait_for_events(node, stream_id, "connecting", "live", "disconnected")
    assert sum("taken_over" in line for line in node.log_lines if stream_id in line) == 1


def _count(node: Node, event: str, stream_id: str) -> int:
    return sum(event in line and stream_id in line for line in node.log_lines)
