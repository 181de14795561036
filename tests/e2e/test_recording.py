"""Recordings of real streams: what is published is what plays afterwards, whatever is killed meanwhile."""

from __future__ import annotations

import io
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import av
import m3u8
import pytest
import pytest_asyncio

from tests.clips import synthetic_clip
from tests.e2e.inside import names, redis_of, role, wait_for_events, wait_for_exit, workers
from tests.e2e.node import Node, pushing, running_node, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def recording_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A node whose media go as soon as their session has ended: what plays then is the recording."""
    limits = {
        "ANTLIVE_RECONNECT_WINDOW_S": "3",
        "ANTLIVE_ENDED_RETENTION_S": "0",
        "ANTLIVE_RECORDING_RESERVE_MB": "1",
    }
    async with running_node(tmp_path_factory.mktemp("recording-node"), **limits) as running:
        yield running


async def recordings(node: Node, stream_id: str) -> list[dict[str, Any]]:
    async with node.http.get(f"{node.api_url}/{stream_id}/recordings", headers=node.auth) as response:
        assert response.status == 200, await response.text()
        found: list[dict[str, Any]] = (await response.json())["recordings"]
        return found


async def answers(node: Node) -> bool:
    """Whether the node's API is there."""
    try:
        async with node.http.get(f"{node.base_url}/openapi.json") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def is_ready(node: Node) -> bool:
    """Whether all of the node is there, its Redis too."""
    try:
        async with node.http.get(f"{node.base_url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def wait_for_recording(
    node: Node, stream_id: str, state: str, *, duration_s: float = 0.0, timeout_s: float = 25.0
) -> dict[str, Any]:
    """The stream's newest recording once it is in this state and at least so long."""
    found: list[dict[str, Any]] = []

    async def reached() -> bool:
        found[:] = await recordings(node, stream_id)
        return bool(found) and found[0]["state"] == state and found[0]["duration"] >= duration_s

    await wait_until(reached, f"a recording that is {state}", timeout_s, lambda: str(found))
    return found[0]


async def live_end(node: Node, stream: dict[str, Any]) -> int:
    """The media sequence number after the last whole segment that viewers can get."""
    master = await node.playlist(stream["playback"]["hlsUrl"])
    live = await node.playlist(master.playlists[0].absolute_uri)
    return int(live.media_sequence) + sum(1 for segment in live.segments if segment.uri)


async def has_gone_on(node: Node, stream: dict[str, Any], msn: int) -> bool:
    """Whether the show has come so far."""
    return await live_end(node, stream) >= msn


async def playlists(node: Node, recording: dict[str, Any]) -> dict[str, tuple[str, m3u8.M3U8]]:
    """Text and parsed media playlist of each rendition, by name."""
    master = await node.playlist(recording["hlsUrl"])
    uris = [each.uri for each in master.playlists] + [each.uri for each in master.media]
    found = {}
    for uri in uris:
        url = urljoin(recording["hlsUrl"], uri)
        found[uri.split("/")[0]] = await node.text(url), await node.playlist(url)
    return found


async def media(node: Node, playlist: m3u8.M3U8) -> bytes:
    """All that a rendition holds, as one file."""
    files = [playlist.segment_map[0].absolute_uri]
    files += [segment.absolute_uri for segment in playlist.segments if not segment.gap_tag]
    return b"".join([await node.bytes(file) for file in files])


def check_seamless(data: bytes) -> float:
    """Each packet begins where the one before it ends; how many seconds there are."""
    with av.open(io.BytesIO(data), "r") as container:
        packets = [packet for packet in container.demux() if packet.pts is not None]
    for earlier, later in itertools.pairwise(packets):
        assert earlier.dts is not None and earlier.duration is not None
        assert later.dts == earlier.dts + earlier.duration
    last = packets[-1]
    assert last.dts is not None and last.duration is not None and packets[0].dts is not None
    return float((last.dts + last.duration - packets[0].dts) * last.time_base)


async def test_a_session_is_one_recording_over_reconnects_and_killed_processes(
    recording_node: Node, small_clip: Path
) -> None:
    node = recording_node
    stream = await node.create(recording=True)
    stream_id, url = stream["streamId"], stream["ingest"]["rtmpFullUrl"]
    assert await recordings(node, stream_id) == [] and "recordings" not in await node.stream(stream_id)
    before = set(workers(node))
    async with pushing(small_clip, url):
        recording = await wait_for_recording(node, stream_id, "recording", duration_s=2)
        live = await playlists(node, recording)
        assert all("#EXT-X-PLAYLIST-TYPE:EVENT\n" in text and "ENDLIST" not in text for text, _ in live.values())
        for pid in workers(node).keys() - before:
            workers(node)[pid].kill()
        await wait_for_recording(node, stream_id, "recording", duration_s=recording["duration"] + 3)
        redis = role(node, "redis-server")
        redis.kill()
        await wait_for_exit([redis], 10)
        await wait_until(lambda: is_ready(node), "Redis to come back")
        recorder = role(node, "recorder")
        recorder.suspend()  # as one whose disk hangs: the show goes on
        published = await live_end(node, stream)
        await wait_until(lambda: has_gone_on(node, stream, published + 2), "two more segments", 10)
        recorder.kill()
    async with pushing(small_clip, url):
        await wait_for_recording(node, stream_id, "recording", duration_s=recording["duration"] + 7)
        role(node, "web").kill()
        await wait_until(lambda: answers(node), "the API to come back")
        role(node, "ingest").kill()
    await node.wait_for_state(stream_id, "ended", timeout_s=20)
    ready = await wait_for_recording(node, stream_id, "ready")
    assert ready["id"] == recording["id"] and ready["sessionId"].removeprefix("se_") == ready["id"].removeprefix("rec_")
    assert ready["gaps"] == [] and ready["size"] > 0 and ready["streamId"] == stream_id
    assert {each["name"] for each in ready["renditions"]} == set(live)

    async def media_gone() -> bool:
        return not list(node.media_dir.glob(f"{stream['edgeId']}/*"))

    await wait_until(media_gone, "the live media to go")
    for name, (text, playlist) in (await playlists(node, ready)).items():
        assert "#EXT-X-PLAYLIST-TYPE:VOD\n" in text and text.endswith("#EXT-X-ENDLIST\n"), text
        assert "DISCONTINUITY" not in text and "GAP" not in text and text.count("#EXT-X-MAP") == 1, text
        assert text.startswith(live[name][0].partition("#EXT-X-PLAYLIST-TYPE")[0])
        seconds = check_seamless(await media(node, playlist))
        listed_s = sum(segment.duration for segment in playlist.segments)
        assert abs(seconds - listed_s) < 0.05 and abs(ready["duration"] - listed_s) < 0.1, name
    shown = await node.stream(stream_id)
    assert [each["id"] for each in shown["recordings"]] == [ready["id"]]


async def test_events_and_a_complete_delete(recording_node: Node, tiny_clip: Path) -> None:
    node = recording_node
    stream = await node.create(recording=True, quality="passthrough", reconnectWindowSeconds=0)
    stream_id = stream["streamId"]
    async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]):
        recording = await wait_for_recording(node, stream_id, "recording", duration_s=1)
        api = f"{node.api_url.removesuffix('/live-streams')}/recordings/{recording['id']}"
        async with node.http.delete(api, headers=node.auth) as response:
            assert response.status == 409 and (await response.json())["error"]["code"] == "recording_busy"
    ready = await wait_for_recording(node, stream_id, "ready")
    events = await wait_for_events(
        node, stream_id, "connecting", "live", "recording.started", "disconnected", "ended", "recording.ready"
    )
    assert events[-1].data == {
        "recordingId": ready["id"], "duration": ready["duration"], "size": ready["size"], "gaps": 0
    }  # fmt: skip
    assert events[-1].session_id == ready["sessionId"]
    directory = node.data_dir / "recordings" / ready["id"]
    media_bytes = sum(path.stat().st_size for path in directory.glob("*/*") if path.suffix != ".jpg")
    assert media_bytes == ready["size"]
    async with node.http.delete(api, headers=node.auth) as response:
        assert response.status == 204
    assert await recordings(node, stream_id) == []
    async with node.http.get(api, headers=node.auth) as response:
        assert response.status == 404

    async def gone() -> bool:
        async with node.http.get(ready["hlsUrl"]) as response:
            return response.status == 404 and not directory.exists()

    await wait_until(gone, "the files to go")
    async with redis_of(node) as redis:
        left = [key async for key in redis.scan_iter(f"*{ready['id']}*")]
        assert left == []
    events = await wait_for_events(
        node, stream_id, *(*names(events), "recording.deleted")
    )  # fmt: skip
    assert events[-1].reason == "api" and events[-1].data == {"recordingId": ready["id"]}


def packets_of(data: bytes, kind: str) -> list[tuple[bytes, float, float]]:
    """Bytes, decode and presentation time of each packet, in seconds since the file's first."""
    with av.open(io.BytesIO(data), "r") as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [
            (bytes(packet), float(packet.dts * packet.time_base), float(packet.pts * packet.time_base))
            for packet in container.demux(stream)
            if packet.pts is not None and packet.dts is not None
        ]


async def test_a_download_is_a_progressive_mp4_of_what_was_published(recording_node: Node, clips: Path) -> None:
    node = recording_node
    clip = synthetic_clip(clips / "b-frames.flv", size="640x360", seconds=20, video=("-bf", "2"))
    stream = await node.create(recording=True, quality="passthrough", reconnectWindowSeconds=0)
    async with pushing(clip, stream["ingest"]["rtmpFullUrl"]):
        recording = await wait_for_recording(node, stream["streamId"], "recording", duration_s=4)
        assert "mp4Url" not in recording
    ready = await wait_for_recording(node, stream["streamId"], "ready")
    url = ready["mp4Url"]
    data = await node.bytes(url)
    kinds = [data[4:8]]
    kinds.append(data[int.from_bytes(data[:4]) + 4 :][:4])
    assert kinds == [b"ftyp", b"moov"], "the header comes first"

    first_s: list[float] = []
    for name, (_, playlist) in (await playlists(node, ready)).items():
        kind = "audio" if name == "audio" else "video"
        published, downloaded = packets_of(await media(node, playlist), kind), packets_of(data, kind)
        assert [each[0] for each in downloaded] == [each[0] for each in published], kind
        shift_s = published[0][1] - downloaded[0][1]
        first_s.append(shift_s)
        for got, wanted in zip(downloaded, published, strict=True):
            assert abs(got[1] - wanted[1] + shift_s) < 0.001 and abs(got[2] - wanted[2] + shift_s) < 0.001
    assert abs(first_s[0] - first_s[1]) < 0.001, "sound and picture are moved alike"
    assert any(dts != pts for _, dts, pts in packets_of(data, "video")), "the clip has B-frames"

    async with node.http.head(url) as response:
        assert (response.status, response.headers["Content-Length"]) == (200, str(len(data)))
        etag = response.headers["ETag"]
    size = len(data)
    for asked, start, end in (("0-9", 0, 10), (f"{size // 2}-", size // 2, size), ("-100", size - 100, size)):
        async with node.http.get(url, headers={"Range": f"bytes={asked}", "If-Range": etag}) as response:
            assert (response.status, await response.read()) == (206, data[start:end])
            assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    async with node.http.get(url, headers={"Range": f"bytes={size}-"}) as response:
        assert response.status == 416 and response.headers["Content-Range"] == f"bytes */{size}"
    async with node.http.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'}) as response:
        assert response.status == 200 and len(await response.read()) == size
