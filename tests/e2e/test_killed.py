"""Processes killed with SIGKILL while streams are live: the same session goes on, and viewers can't tell."""

from __future__ import annotations

import asyncio
import io
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import av
import m3u8
import pytest

from tests.clips import synthetic_clip
from tests.e2e.inside import wait_for_events, workers
from tests.e2e.node import Node, pushing, wait_until
from tests.e2e.viewer import Watched, watch

pytestmark = pytest.mark.asyncio(loop_scope="session")

BACK_S = 3.0


@pytest.fixture(scope="session")
def two_rungs_clip(clips: Path) -> Path:
    """854x480, of which a ladder makes two renditions."""
    return synthetic_clip(clips / "two-rungs.flv", size="854x480")


@dataclass(slots=True)
class Follower:
    """Asks for a rendition's playlist again and again and notes when its newest part changes."""

    node: Node
    url: str
    changed_s: list[float] = field(default_factory=list)
    newest: tuple[int, int] = (-1, -1)

    async def run(self) -> None:
        while True:
            try:
                playlist = await self.node.playlist(self.url)
            except (aiohttp.ClientError, AssertionError):
                await asyncio.sleep(0.05)
                continue
            segments = playlist.segments
            newest = (playlist.media_sequence or 0) + len(segments) - 1, len(segments[-1].parts)
            assert newest >= self.newest, "the playlist went back"
            if newest > self.newest:
                self.newest = newest
                self.changed_s.append(time.monotonic())
            await asyncio.sleep(0.05)

    def longest_pause_s(self) -> float:
        """Between two changes."""
        return max(later - earlier for earlier, later in itertools.pairwise(self.changed_s))


@asynccontextmanager
async def following(node: Node, stream: dict[str, Any]) -> AsyncIterator[Follower]:
    """Follow the first video rendition of a live stream."""
    hls_url = stream["playback"]["hlsUrl"]
    follower = Follower(node, urljoin(hls_url, (await node.playlist(hls_url)).playlists[0].uri))
    task = asyncio.ensure_future(follower.run())
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def more_segments(node: Node, follower: Follower, count: int = 2) -> None:
    """Return once so many segments have begun since now."""
    until = follower.newest[0] + count

    async def there() -> bool:
        return follower.newest[0] >= until

    await wait_until(there, f"segment {until} of {follower.url}", describe=lambda: str(follower.newest))


def check_seamless(rendition: Watched, *, is_passthrough: bool) -> None:
    """One init segment, no discontinuity, and each fragment begins where the one before it ends."""
    text = rendition.playlist_text
    assert "DISCONTINUITY" not in text and "GAP" not in text and text.count("#EXT-X-MAP") == 1, text
    with av.open(io.BytesIO(rendition.data), "r") as container:
        packets = [packet for packet in container.demux() if packet.pts is not None]
    for earlier, later in itertools.pairwise(packets):
        assert earlier.dts is not None and later.dts is not None and earlier.duration is not None
        assert later.dts == earlier.dts + earlier.duration, (rendition.name, float(later.dts * later.time_base))
    frames = rendition.audio() if rendition.name == "audio" else rendition.video()
    assert len(frames) == len(packets)
    playlist = m3u8.loads(text)
    for first, second in itertools.pairwise(playlist.segments):
        if second.uri:
            step_s = (second.program_date_time - first.program_date_time).total_seconds()
            # Passthrough has no picture of the time without a worker: its media go on later.
            lost_s = BACK_S if is_passthrough else 0.0
            assert -0.0021 < step_s - first.duration < lost_s + 0.0021, text


async def test_a_killed_worker_is_replaced_and_its_sessions_go_on(node: Node, two_rungs_clip: Path) -> None:
    ladder = await node.create()
    others = [await node.create(quality="passthrough") for _ in range(2)]
    streams = [ladder, *others]
    before = set(workers(node))
    async with (
        pushing(two_rungs_clip, ladder["ingest"]["rtmpFullUrl"]) as first,
        pushing(two_rungs_clip, others[0]["ingest"]["rtmpFullUrl"]) as second,
        pushing(two_rungs_clip, others[1]["ingest"]["srtFullUrl"], container="mpegts") as third,
    ):
        for stream in streams:
            await node.wait_for_state(stream["streamId"], "live")
        async with following(node, ladder) as a, following(node, others[0]) as b, following(node, others[1]) as c:
            followers = (a, b, c)
            for follower in followers:
                await more_segments(node, follower, 1)
            running = workers(node)
            for pid in running.keys() - before:
                running[pid].kill()
            for follower in followers:
                await more_segments(node, follower, 3)
        assert not running.keys() - before & workers(node).keys()
        for follower in followers:
            assert follower.longest_pause_s() < BACK_S, follower.changed_s
            assert follower.newest[0] < 30
        for stream, follower in zip(streams, followers, strict=True):
            for rendition in (await watch(node, stream["playback"]["hlsUrl"], follower.newest[0])).values():
                assert rendition.first_msn == 0
                check_seamless(rendition, is_passthrough=stream is not ladder)
            await wait_for_events(node, stream["streamId"], "connecting", "live")
        assert [encoder.returncode for encoder in (first, second, third)] == [None] * 3
    print({follower.url: follower.longest_pause_s() for follower in followers})
