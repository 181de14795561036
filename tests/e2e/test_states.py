"""The states of a stream, as API, Redis and viewers see them, with real encoders."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from urllib.parse import urljoin

import psutil
import pytest

from config.limits import LIMITS
from tests.e2e.inside import names, role, wait_for_events, workers
from tests.e2e.node import Node, pushing, wait_until
from tests.e2e.viewer import watch

pytestmark = pytest.mark.asyncio(loop_scope="session")

ISO_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def media_urls(node: Node, hls_url: str) -> list[str]:
    master = await node.playlist(hls_url)
    uris = [playlist.uri for playlist in master.playlists] + [media.uri for media in master.media]
    return [urljoin(hls_url, uri) for uri in uris]


async def status_of(node: Node, url: str) -> int:
    async with node.http.get(url) as response:
        return response.status


async def test_a_stream_from_idle_to_ended_and_again(quick_node: Node, tiny_clip: Path) -> None:
    node = quick_node
    stream = await node.create()
    stream_id, hls_url = stream["streamId"], stream["playback"]["hlsUrl"]
    assert stream["state"] == "idle" and await status_of(node, hls_url) == 404
    async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]):
        live = await node.wait_for_state(stream_id, "live")
        assert ISO_SECONDS.fullmatch(live["startedAt"]) and not live.get("endedAt")
        first_urls = await media_urls(node, hls_url)
        await watch(node, hls_url, segments=1)
    ended = await node.wait_for_state(stream_id, "ended")
    events = await wait_for_events(node, stream_id, "connecting", "live", "disconnected", "ended")
    assert [event.reason for event in events] == ["publish_accepted", "renditions_ready", "peer_closed", "window_over"]
    assert [event.state.value for event in events] == ["connecting", "live", "live", "ended"]
    assert {(event.edge_id, event.session_id) for event in events} == {(stream["edgeId"], events[0].session_id)}
    assert ISO_SECONDS.fullmatch(ended["endedAt"]) and ended["startedAt"] == live["startedAt"] <= ended["endedAt"]
    assert await media_urls(node, hls_url) == first_urls, "the master is served for the retention"
    for url in first_urls:
        assert (await node.text(url)).endswith("#EXT-X-ENDLIST\n"), url

    async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]):
        again = await node.wait_for_state(stream_id, "live")
        assert again["startedAt"] >= ended["endedAt"]
        second_urls = await media_urls(node, hls_url)
        assert not set(first_urls) & set(second_urls)
        for url in second_urls:
            playlist = await node.playlist(url)
            assert playlist.media_sequence == 0 and not playlist.is_endlist
    await node.wait_for_state(stream_id, "ended")
    events = await wait_for_events(node, stream_id, *("connecting", "live", "disconnected", "ended") * 2)
    assert events[4].session_id != events[0].session_id

    async def media_gone() -> bool:
        return [await status_of(node, url) for url in (hls_url, *first_urls, *second_urls)] == [404] * (
            1 + len(first_urls) + len(second_urls)
        )

    await wait_until(media_gone, "the media to go after the retention")


async def test_an_unsupported_codec_is_an_error_with_its_reason(quick_node: Node, clips: Path, tiny_clip: Path) -> None:
    node = quick_node
    stream = await node.create()
    stream_id, url = stream["streamId"], stream["ingest"]["rtmpFullUrl"]
    sorenson = ("-c:v", "flv1", "-g", "30", "-c:a", "aac")
    seen = len(node.log_lines)
    async with pushing(tiny_clip, url, *sorenson) as encoder:
        failed = await node.wait_for_state(stream_id, "error")
        assert failed["error"]["code"] == "unsupported_codec" and "H.264" in failed["error"]["message"]
        assert await asyncio.wait_for(encoder.wait(), 10) != 0
    events = await wait_for_events(node, stream_id, "connecting", "error")
    assert events[-1].reason == "unsupported_codec"
    lines = [line for line in node.log_lines[seen:] if stream_id in line and "session_failed" in line]
    assert len(lines) == 1 and "unsupported_codec" in lines[0], node.log_lines[seen:]
    async with pushing(tiny_clip, url):
        await node.wait_for_state(stream_id, "live")
        assert "error" not in await node.stream(stream_id)


async def kill_new_worker(node: Node, others: set[int]) -> bool:
    """Kill the worker that is none of these, once there is one. Whether it had the session: it may die before that."""
    found: list[psutil.Process] = []

    async def there() -> bool:
        found[:] = [worker for pid, worker in workers(node).items() if pid not in others]
        return bool(found)

    await wait_until(there, "a worker")
    pid, seen = found[0].pid, len(node.log_lines)
    others.add(pid)
    found[0].kill()
    told: list[str] = []

    async def noticed() -> bool:
        mine = [line for line in node.log_lines[seen:] if "worker_died" in line and str(pid) in line]
        told[:] = mine or [line for line in node.log_lines[seen:] if "worker_not_forked" in line]
        return bool(told)

    await wait_until(noticed, f"word of the death of {pid}", describe=lambda: "\n".join(node.log_lines[seen:]))
    return "worker_died" in told[0]


async def test_a_worker_that_is_killed_again_and_again_takes_only_its_own_stream(
    quick_node: Node, tiny_clip: Path
) -> None:
    node = quick_node
    bystander, victim = await node.create(), await node.create()
    async with pushing(tiny_clip, bystander["ingest"]["rtmpFullUrl"]):
        await node.wait_for_state(bystander["streamId"], "live")
        others = set(workers(node))
        async with pushing(tiny_clip, victim["ingest"]["rtmpFullUrl"]) as encoder:
            await node.wait_for_state(victim["streamId"], "live")
            died = 0
            while died <= LIMITS.worker_restarts:
                died += await kill_new_worker(node, others)
            assert await asyncio.wait_for(encoder.wait(), 10) != 0
        await node.wait_for_state(victim["streamId"], "error")
        async with pushing(tiny_clip, victim["ingest"]["rtmpFullUrl"]):
            await node.wait_for_state(victim["streamId"], "live")
        watched = await watch(node, bystander["playback"]["hlsUrl"], segments=2)
        assert {rendition.first_msn for rendition in watched.values()} == {0}
        await wait_for_events(node, bystander["streamId"], "connecting", "live")
    events = await wait_for_events(
        node, victim["streamId"], "connecting", "live", "error", "connecting", "live", "disconnected", "ended"
    )
    assert events[2].reason == "worker_died"


async def test_a_classic_stream_has_no_low_latency_tag_and_no_part_file(quick_node: Node, tiny_clip: Path) -> None:
    node = quick_node
    stream = await node.create(lowLatency=False, recording=True)
    assert (await node.stream(stream["streamId"]))["recording"] is True
    async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]):
        await node.wait_for_state(stream["streamId"], "live")
        for rendition in (await watch(node, stream["playback"]["hlsUrl"], segments=2)).values():
            tags = set(re.findall(r"^#(EXT[A-Z0-9-]*)", rendition.playlist_text, re.M))
            low_latency = {"EXT-X-PART", "EXT-X-PART-INF", "EXT-X-PRELOAD-HINT", "EXT-X-RENDITION-REPORT", "EXT-X-SKIP"}
            assert not tags & low_latency, rendition.playlist_text
            assert "HOLD-BACK" not in rendition.playlist_text and "CAN-BLOCK" not in rendition.playlist_text
        files = [path.name for path in (node.media_dir / stream["edgeId"]).glob("*/*/*.m4s")]
        assert files and not [name for name in files if name.count(".") > 1]


@pytest.mark.parametrize("quality", ["standard", "passthrough"])
async def test_nothing_is_left_of_ended_sessions(quick_node: Node, tiny_clip: Path, quality: str) -> None:
    node = quick_node
    streams = [await node.create(quality=quality) for _ in range(2)]

    async def quiet() -> bool:
        return not list(node.media_dir.glob("lse_*")) and not workers(node)

    async def publish_once(stream: dict[str, object], url: str) -> None:
        async with pushing(tiny_clip, url):
            await node.wait_for_state(str(stream["streamId"]), "live")
        await node.wait_for_state(str(stream["streamId"]), "ended")

    async def publish_all() -> None:
        await asyncio.gather(*(publish_once(stream, stream["ingest"]["rtmpFullUrl"]) for stream in streams))

    await publish_all()
    await wait_until(quiet, "media and workers of the first sessions to go")
    open_files = role(node, "ingest").num_fds()
    for _ in range(2):
        await publish_all()
    await wait_until(quiet, "media and workers of the last sessions to go")

    async def closed() -> bool:
        # Its pool of connections to Redis may have grown; each leaked session would be two files or more.
        return role(node, "ingest").num_fds() <= open_files + 3

    await wait_until(closed, f"{open_files} open files of ingest", describe=lambda: str(role(node, "ingest").num_fds()))
    for stream in streams:
        events = await wait_for_events(node, stream["streamId"], *("connecting", "live", "disconnected", "ended") * 3)
        assert len({event.session_id for event in events}) == 3, names(events)
