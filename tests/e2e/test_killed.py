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
import pytest_asyncio
from redis.asyncio import Redis

from streams.events import StreamEvent, decode_event
from tests.clips import synthetic_clip
from tests.e2e.browser import READ_CLOCK, open_page
from tests.e2e.inside import names, role, wait_for_events, workers
from tests.e2e.node import Node, pushing, running_node, wait_until
from tests.e2e.test_player import demo
from tests.e2e.viewer import Watched, watch
from tests.redis_server import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="session")

ESTIMATE_S = 0.25
BACK_S = 3.0


@pytest.fixture(scope="session")
def two_rungs_clip(clips: Path) -> Path:
    """854x480, of which a ladder makes two renditions."""
    return synthetic_clip(clips / "two-rungs.flv", size="854x480")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A node whose processes are killed, one after the other."""
    async with running_node(tmp_path_factory.mktemp("killed-node"), ANTLIVE_RECONNECT_WINDOW_S="60") as running:
        yield running


@dataclass(slots=True)
class Follower:
    """Asks for a rendition's playlist again and again and notes when its newest part changes."""

    node: Node
    url: str
    changed_s: list[float] = field(default_factory=list)
    newest: tuple[int, int] = (-1, -1)
    refused: int = 0
    """How often nobody listened."""

    async def run(self) -> None:
        while True:
            try:
                playlist = await self.node.playlist(self.url)
            except aiohttp.ClientConnectorError:
                self.refused += 1
                await asyncio.sleep(0.05)
                continue
            except (aiohttp.ClientError, AssertionError):  # cut off, or held until its time was over
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
            # A worker that takes passthrough up estimates anew how late the source arrives; the ladder goes on exactly.
            early_s = ESTIMATE_S if is_passthrough else 0.0
            assert -early_s - 0.0021 < step_s - first.duration < lost_s + 0.0021, text


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


@asynccontextmanager
async def pushing_again_and_again(source: Path, url: str, container: str = "flv") -> AsyncIterator[None]:
    """An encoder that connects again when its connection breaks, as OBS does (which waits for two seconds)."""

    async def push() -> None:
        while True:
            async with pushing(source, url, container=container) as encoder:
                await encoder.wait()
            await asyncio.sleep(1.0)

    task = asyncio.ensure_future(push())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("workers_too", [False, True])
async def test_a_killed_ingest_comes_back_to_its_sessions(
    own_node: Node, two_rungs_clip: Path, workers_too: bool
) -> None:
    node = own_node
    ladder, passthrough = await node.create(), await node.create(quality="passthrough")
    streams = (ladder, passthrough)
    async with (
        pushing_again_and_again(two_rungs_clip, ladder["ingest"]["rtmpFullUrl"]),
        pushing_again_and_again(two_rungs_clip, passthrough["ingest"]["rtmpFullUrl"]),
    ):
        for stream in streams:
            await node.wait_for_state(stream["streamId"], "live")
        async with following(node, ladder) as a, following(node, passthrough) as b:
            for follower in (a, b):
                await more_segments(node, follower, 1)
            running = workers(node)
            role(node, "ingest").kill()
            if workers_too:
                for worker in running.values():
                    worker.kill()
            for stream in streams:
                events = await wait_for_events(
                    node, stream["streamId"], "connecting", "live", "disconnected", "reconnected"
                )
                assert events[2].reason == "ingest_restarted"
                assert len({event.session_id for event in events}) == 1
            for follower in (a, b):
                await more_segments(node, follower, 2)
        assert workers_too or all(worker.is_running() for worker in running.values())
        # The ladder goes on without anybody; passthrough needs its encoder.
        assert a.longest_pause_s() < (BACK_S * 2 if workers_too else BACK_S), a.changed_s
        assert b.longest_pause_s() < BACK_S * 2, b.changed_s
        for stream, follower in zip(streams, (a, b), strict=True):
            for rendition in (await watch(node, stream["playback"]["hlsUrl"], follower.newest[0])).values():
                assert rendition.first_msn == 0
                check_seamless(rendition, is_passthrough=stream is passthrough)
    print("pauses_s", a.longest_pause_s(), b.longest_pause_s())
    for stream in streams:
        await end(node, stream)


async def end(node: Node, stream: dict[str, Any]) -> None:
    """End its session, so that the next test has the machine for itself."""
    async with node.http.post(f"{node.api_url}/{stream['streamId']}/end", headers=node.auth) as response:
        assert response.status in (200, 202, 204), await response.text()
    await node.wait_for_state(stream["streamId"], "ended")


async def test_a_killed_origin_is_back_at_once_and_players_go_on(own_node: Node) -> None:
    node = own_node
    stream = await node.create()
    problems: list[str] = []
    async with (
        demo(stream["ingest"]["rtmpFullUrl"]),
        open_page(f"{node.base_url}/player/{stream['edgeId']}") as page,
    ):
        page.on("framenavigated", lambda _: problems.append("the page was loaded again"))
        await node.wait_for_state(stream["streamId"], "live")
        clocks: list[tuple[float, int]] = []  # when a new picture was seen, and its clock

        async def look() -> None:
            while True:
                clock = await page.evaluate(READ_CLOCK)
                if clock is not None and (not clocks or clock["clock_ms"] > clocks[-1][1]):
                    clocks.append((time.monotonic(), clock["clock_ms"]))
                await asyncio.sleep(0.02)

        async def plays_since(clock_ms: int) -> bool:
            return bool(clocks) and clocks[-1][1] > clock_ms

        looking = asyncio.ensure_future(look())
        try:
            await wait_until(lambda: plays_since(0), "a picture", 40)
            await wait_until(lambda: plays_since(clocks[0][1] + 2000), "two seconds of picture")
            async with following(node, stream) as follower:
                await more_segments(node, follower, 1)
                web, killed_at = role(node, "web"), clocks[-1][1]
                web.kill()
                await wait_until(lambda: plays_since(killed_at + 8000), "new pictures", 20, lambda: str(clocks[-1]))
                assert role(node, "web").pid != web.pid
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        stats = await page.evaluate("window.antlivePlayer.stats()")
    frozen_s = max(later[0] - earlier[0] for earlier, later in itertools.pairwise(clocks) if later[1] > killed_at)
    print("pause_s", follower.longest_pause_s(), "frozen_s", frozen_s)
    assert follower.refused == 0 and follower.longest_pause_s() < BACK_S
    assert frozen_s < BACK_S and stats["error"] is None and problems == [], (stats, problems)
    await end(node, stream)


@pytest.mark.parametrize("fate", ["hangs", "is_killed"])
async def test_nobody_who_is_live_notices_that_redis_is_away(tmp_path: Path, tiny_clip: Path, fate: str) -> None:
    with redis_server(keeps=True) as server:
        async with running_node(tmp_path, ANTLIVE_REDIS_URL=server.url) as node:
            ladder, passthrough, other = [
                await node.create(quality=quality) for quality in ("standard", "passthrough", "passthrough")
            ]
            url = passthrough["ingest"]["rtmpFullUrl"]
            async with pushing(tiny_clip, ladder["ingest"]["rtmpFullUrl"]) as encoder:
                async with pushing(tiny_clip, url):
                    for stream in (ladder, passthrough):
                        await node.wait_for_state(stream["streamId"], "live")
                    server.freeze() if fate == "hangs" else server.stop()
                away_s = time.monotonic()
                async with following(node, ladder) as a, following(node, passthrough) as b, pushing(tiny_clip, url):
                    # A newcomer is told to try again, over both protocols; the encoder that returns is let in.
                    await asyncio.gather(
                        refused(node, tiny_clip, other["ingest"]["rtmpFullUrl"], "flv"),
                        refused(node, tiny_clip, other["ingest"]["srtFullUrl"], "mpegts"),
                    )
                    async with node.http.get(node.api_url, headers=node.auth) as response:
                        assert response.status == 503
                    for follower in (a, b):
                        await more_segments(node, follower, 2)
                    away_s = time.monotonic() - away_s
                    server.thaw() if fate == "hangs" else server.start()
                    redis = Redis.from_url(server.url)
                    events = await wait_for_events_in(redis, passthrough["streamId"], 4)
                    await redis.aclose()
                    assert names(events) == ["connecting", "live", "disconnected", "reconnected"]
                    assert (events[3].at - events[2].at).total_seconds() < away_s
                    assert encoder.returncode is None
                    for follower in (a, b):
                        await more_segments(node, follower, 1)
                        assert follower.longest_pause_s() < BACK_S, follower.changed_s
            async with pushing(tiny_clip, other["ingest"]["rtmpFullUrl"]):
                await node.wait_for_state(other["streamId"], "live")
            print("away_s", away_s, "pauses_s", a.longest_pause_s(), b.longest_pause_s())
        assert "wrong_key" not in node.log_text()


async def refused(node: Node, source: Path, url: str, container: str) -> None:
    """An encoder that may not publish now: it ends by itself, and the log says that it may try again."""
    protocol = "rtmp" if container == "flv" else "srt"
    async with pushing(source, url, container=container) as encoder:
        assert await asyncio.wait_for(encoder.wait(), 20) != 0

    async def logged() -> bool:
        return any(f"{protocol}_connection_refused" in line and "try_again" in line for line in node.log_lines)

    await wait_until(logged, f"a refusal over {protocol}", describe=node.log_text)


async def wait_for_events_in(redis: Redis, stream_id: str, count: int) -> list[StreamEvent]:
    """The events of a stream but its creation, once there are so many."""
    found: list[StreamEvent] = []

    async def there() -> bool:
        entries = await redis.xrange("antlive:events") or []
        events = [decode_event(fields) for _, fields in entries if fields]
        found[:] = [event for event in events if event.stream_id == stream_id][1:]
        return len(found) >= count

    await wait_until(there, f"{count} events", describe=lambda: str(names(found)))
    return found
