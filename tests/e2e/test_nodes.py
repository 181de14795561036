"""Two complete nodes on one Redis: either serves all streams, and a session outlives the node that it began on."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import m3u8
import pytest
from redis.asyncio import Redis

from streams.events import StreamEvent, decode_event
from streams.state import EventType
from tests.e2e.inside import names, processes_of
from tests.e2e.node import Node, pushing, running_node, wait_until
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW_S = 15


@dataclass(slots=True)
class Pair:
    """Both nodes, and their Redis."""

    a: Node
    b: Node
    redis: Redis

    def at(self, node: Node, url: str) -> str:
        """The same URL at this node."""
        path = url.split("/", 3)[3]
        return f"{node.base_url}/{path}"

    async def events(self, stream_id: str) -> list[StreamEvent]:
        """What happened to a stream after it was created."""
        entries = await self.redis.xrange("antlive:events") or []
        events = [decode_event(fields) for _, fields in entries if fields]
        return [event for event in events if event.stream_id == stream_id and event.type is not EventType.CREATED]

    async def session(self, stream_id: str) -> tuple[object, object]:
        """Where its session is, and the state of the stream."""
        session = await self.redis.hmget(f"antlive:session:{stream_id}", "session_id", "node_id", "epoch")
        stream = await self.redis.hmget(f"antlive:stream:{stream_id}", "state", "seq", "epoch", "node_id")
        return session, stream

    async def wait_for_events(self, stream_id: str, *types: str, timeout_s: float = 20.0) -> list[StreamEvent]:
        """The stream's events, once these and only these have happened."""
        found: list[StreamEvent] = []

        async def happened() -> bool:
            found[:] = await self.events(stream_id)
            return names(found) == list(types)

        await wait_until(happened, f"events {types}", timeout_s, lambda: str(names(found)))
        return found


@asynccontextmanager
async def two_nodes(directory: Path, server: RedisServer, **environment: str) -> AsyncIterator[Pair]:
    environment = {"ANTLIVE_REDIS_URL": server.url, "ANTLIVE_RECONNECT_WINDOW_S": str(WINDOW_S), **environment}
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(Redis.from_url(server.url))
        nodes = [await stack.enter_async_context(running_node(directory / name, **environment)) for name in ("a", "b")]
        yield Pair(nodes[0], nodes[1], redis)


@dataclass(slots=True)
class Viewer:
    """Plays as LL-HLS players do: asks for the next part of a rendition, and waits for the answer."""

    http: aiohttp.ClientSession
    url: str
    seen: list[tuple[int, int]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        query = ""
        while True:
            async with self.http.get(self.url + query) as response:
                self.statuses.append(response.status)
                text = await response.text()
            if response.status != 200:
                await asyncio.sleep(0.5)
                continue
            playlist = m3u8.loads(text)
            segments = playlist.segments
            msn, parts = (playlist.media_sequence or 0) + len(segments) - 1, len(segments[-1].parts)
            assert not self.seen or (msn, parts) >= self.seen[-1], f"{(msn, parts)} after {self.seen[-1]}"
            assert "ENDLIST" not in text
            self.seen.append((msn, parts))
            query = f"?_HLS_msn={msn}&_HLS_part={parts}"

    def stop(self) -> None:
        """Leave."""
        assert self.task is not None
        self.task.cancel()

    async def sees_beyond(self, msn: int, timeout_s: float = 20.0) -> None:
        """Return once it has a later segment than this."""

        async def beyond() -> bool:
            return bool(self.seen) and self.seen[-1][0] > msn

        await wait_until(beyond, f"segments beyond {msn}", timeout_s, lambda: f"{self.seen[-3:]} {self.statuses[-5:]}")


@asynccontextmanager
async def watching(node: Node, hls_url: str) -> AsyncIterator[Viewer]:
    async with aiohttp.ClientSession() as http:
        master = await node.playlist(hls_url)
        viewer = Viewer(http, urljoin(hls_url, master.playlists[0].uri))
        task = viewer.task = asyncio.create_task(viewer.run())
        try:
            yield viewer
        finally:
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(result, asyncio.CancelledError), result


@asynccontextmanager
async def shared_redis() -> AsyncIterator[RedisServer]:
    with redis_server() as server:
        yield server


def rtmp_url(node: Node, stream_url: str) -> str:
    """The RTMP URL of a stream at this node."""
    return f"{node.rtmp_url}/{stream_url.rsplit('/', 1)[1]}"


async def test_sessions_go_on_on_another_node_when_theirs_is_killed(tmp_path: Path, tiny_clip: Path) -> None:
    async with shared_redis() as server, two_nodes(tmp_path, server) as pair, AsyncExitStack() as encoders:
        streams = [await pair.a.create(quality=quality) for quality in ("standard", "passthrough", "passthrough")]
        for stream in streams:
            await encoders.enter_async_context(pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]))
        for stream in streams:
            await pair.a.wait_for_state(stream["streamId"], "live")
        *moving, left = streams
        async with AsyncExitStack() as viewers:
            watched = []
            for stream in moving:
                hls_url = stream["playback"]["hlsUrl"]
                # The node that has nothing of it serves the same.
                assert await pair.b.text(pair.at(pair.b, hls_url)) == await pair.a.text(hls_url)
                watched.append(await viewers.enter_async_context(watching(pair.b, pair.at(pair.b, hls_url))))
            for viewer in watched:
                await viewer.sees_beyond(2)
            kill(pair.a)
            killed_at = [viewer.seen[-1][0] for viewer in watched]
            for stream in moving:
                url = rtmp_url(pair.b, stream["ingest"]["rtmpFullUrl"])
                await encoders.enter_async_context(pushing(tiny_clip, url))
            for viewer, msn in zip(watched, killed_at, strict=True):
                await viewer.sees_beyond(msn + 2)
                assert set(viewer.statuses) <= {200, 503}
        for stream in moving:
            events = await pair.wait_for_events(stream["streamId"], "connecting", "live", "reconnected")
            assert events[2].reason == "node_changed"
            assert len({event.session_id for event in events}) == 1
        # Nobody came back for this one.
        events = await pair.wait_for_events(left["streamId"], "connecting", "live", "ended")
        assert events[2].reason == "node_lost"
        assert (await pair.b.http.get(pair.at(pair.b, left["playback"]["hlsUrl"]))).status in (404, 503)


async def test_a_node_that_was_paused_writes_nothing_when_it_wakes_up(tmp_path: Path, tiny_clip: Path) -> None:
    async with shared_redis() as server, two_nodes(tmp_path, server) as pair:
        stream = await pair.a.create()
        stream_id, url, hls_url = stream["streamId"], stream["ingest"]["rtmpFullUrl"], stream["playback"]["hlsUrl"]
        at_b = pair.at(pair.b, hls_url)
        async with pushing(tiny_clip, url) as first:
            await pair.a.wait_for_state(stream_id, "live")
            async with watching(pair.b, at_b) as viewer:
                await viewer.sees_beyond(1)
                paused = processes_of(pair.a)
                for process in paused:
                    process.suspend()
                msn = viewer.seen[-1][0]
                async with pushing(tiny_clip, rtmp_url(pair.b, url)):
                    await viewer.sees_beyond(msn + 1)
                    before = await pair.wait_for_events(stream_id, "connecting", "live", "reconnected")
                    held = await pair.session(stream_id)
                    for process in reversed(paused):
                        process.resume()

                    async def let_go() -> bool:
                        return "session_let_go" in pair.a.log_text()

                    await wait_until(let_go, "the node to notice")
                    assert await asyncio.wait_for(first.wait(), 10) != 0
                    # Its viewers see what the others see.
                    async with watching(pair.a, hls_url) as other:
                        await other.sees_beyond(viewer.seen[-1][0] + 1)
                    assert await pair.events(stream_id) == before
                    assert await pair.session(stream_id) == held
                    assert not list((pair.a.media_dir / stream["edgeId"]).glob("*/journal.jsonl"))


def kill(node: Node) -> None:
    """End all processes of a node, as a power cut would."""
    for process in processes_of(node):
        process.kill()


async def ready(node: Node) -> int:
    """The status that a load balancer gets."""
    async with node.http.get(f"{node.base_url}/readyz") as response:
        return response.status


@asynccontextmanager
async def draining(node: Node) -> AsyncIterator[asyncio.subprocess.Process]:
    """`antlive drain`, on the node's data directory."""
    variables = {**os.environ, "ANTLIVE_DATA_DIR": str(node.data_dir)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "antlive", "drain", "--seconds", "30", env=variables, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_node_is_drained_and_ended(tmp_path: Path, tiny_clip: Path) -> None:
    async with (
        shared_redis() as server,
        two_nodes(tmp_path, server, ANTLIVE_DRAIN_S="3") as pair,
        AsyncExitStack() as s,
    ):
        stream = await pair.a.create()
        stream_id, url, hls_url = stream["streamId"], stream["ingest"]["rtmpFullUrl"], stream["playback"]["hlsUrl"]
        first = await s.enter_async_context(pushing(tiny_clip, url))
        await pair.a.wait_for_state(stream_id, "live")
        viewer = await s.enter_async_context(watching(pair.b, pair.at(pair.b, hls_url)))
        other = await s.enter_async_context(watching(pair.a, hls_url))
        await viewer.sees_beyond(1)
        assert (await ready(pair.a), await ready(pair.b)) == (200, 200)

        drain = await s.enter_async_context(draining(pair.a))
        assert await asyncio.wait_for(first.wait(), 10) != 0
        assert (await ready(pair.a), await ready(pair.b)) == (503, 200)
        assert await pair.a.text(f"{pair.a.base_url}/healthz")
        for refused, container in ((url, "flv"), (stream["ingest"]["srtFullUrl"], "mpegts")):
            async with pushing(tiny_clip, refused, container=container) as again:
                assert await asyncio.wait_for(again.wait(), 10) != 0
        drained_at = viewer.seen[-1][0]
        await s.enter_async_context(pushing(tiny_clip, rtmp_url(pair.b, url)))
        assert await asyncio.wait_for(drain.wait(), 10) == 0
        for each in (viewer, other):
            await each.sees_beyond(drained_at + 1)
            assert set(each.statuses) <= {200, 503}
        events = await pair.wait_for_events(stream_id, "connecting", "live", "disconnected", "reconnected")
        assert [event.reason for event in events[2:]] == ["drain", "node_changed"]

        # Nothing is left to hand over, so it need not wait.
        other.stop()
        pair.a.process.terminate()
        assert await asyncio.wait_for(pair.a.process.wait(), 5) == 0
        # The other one has nobody to hand over to: it serves for as long as it may.
        started_s = time.monotonic()
        pair.b.process.terminate()
        msn = viewer.seen[-1][0]
        await viewer.sees_beyond(msn)
        viewer.stop()
        assert await asyncio.wait_for(pair.b.process.wait(), 10) == 0
        assert time.monotonic() - started_s > 3
        assert (await pair.events(stream_id))[-1].reason == "node_stopped"
