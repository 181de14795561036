"""Requests for what is not there yet (draft-pantos-hls-rfc8216bis, 6.2.5.2 and 6.2.6)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from aiohttp import ClientResponse

from packager.live_sessions import SessionGone
from tests.packager.conftest import NewOrigin, Origin
from tests.packager.helpers import EDGE_ID, Writer, until


async def text(response: ClientResponse) -> str:
    return (await response.read()).decode()


async def hold(origin: Origin, path: str) -> asyncio.Task[ClientResponse]:
    """A request that is proven to wait."""
    before = origin.session.held_requests
    task = asyncio.create_task(origin.get(path))
    await origin.held(before + 1)
    return task


async def test_a_playlist_is_held_until_the_part_that_it_must_have(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path)
    writer.parts(5)
    request = await hold(origin, "720p/media.m3u8?_HLS_msn=1&_HLS_part=2")
    writer.parts(1)
    await until(lambda: origin.session.presentation.renditions["audio"].last_part == (1, 1))
    await origin.held(1)
    assert not request.done(), "the part before it releases nobody"
    writer.parts(1)
    response = await request
    assert response.status == 200
    assert 'URI="1.2.m4s"' in await text(response)
    assert origin.session.held_requests == 0


async def test_a_playlist_without_a_part_is_held_until_the_segment_is_complete(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path)
    writer.parts(5)
    request = await hold(origin, "720p/media.m3u8?_HLS_msn=1")
    writer.parts(2)
    await until(lambda: origin.session.presentation.renditions["audio"].last_part == (1, 2))
    await origin.held(1)
    assert not request.done()
    writer.parts(1)
    assert "\n1.m4s\n" in await text(await request)


async def test_the_hinted_part_is_held_until_it_is_there(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path)
    writer.parts(2)
    request = await hold(origin, "720p/0.2.m4s")
    writer.parts(1)
    response = await request
    assert response.status == 200
    assert await text(response) == "msn 0 part 2;"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


async def test_the_first_part_of_the_next_segment_is_hinted_and_held_too(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path)
    writer.segments(1)
    request = await hold(origin, "720p/1.0.m4s")
    writer.parts(1)
    assert await text(await request) == "msn 1 part 0;"


async def test_a_part_that_is_not_the_hinted_one_is_not_waited_for(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path)
    writer.parts(2)
    for path in ("720p/0.3.m4s", "720p/1.0.m4s", "720p/0.m4s", "720p/00.2.m4s.m4s", "240p/0.2.m4s"):
        assert (await origin.get(path)).status == 404


@pytest.mark.parametrize(
    "query",
    [
        "_HLS_msn=4",
        "_HLS_msn=4&_HLS_part=0",
        "_HLS_msn=999999999999",
        "_HLS_msn=9999999999999",
        "_HLS_msn=2&_HLS_part=7",
        "_HLS_msn=2&_HLS_part=999999999999",
        "_HLS_msn=3&_HLS_part=6",
        "_HLS_part=0",
        "_HLS_msn=-1",
        "_HLS_msn=2&_HLS_part=-1",
        "_HLS_msn=2.0",
        "_HLS_msn=+2",
        "_HLS_msn=%202",
        "_HLS_msn=",
        "_HLS_msn=two",
        "_HLS_msn=2&_HLS_part=x",
        "_HLS_msn=%D9%A2",
        "_HLS_msn=1&_HLS_msn=1",
        "_HLS_msn=1&_HLS_part=0&_HLS_part=1",
        "_HLS_skip=NO",
        "_HLS_skip=YES&_HLS_skip=YES",
    ],
)
async def test_a_bad_directive_is_refused(tmp_path: Path, origin: Origin, query: str) -> None:
    """Segments 0 and 1 are complete, 2 has one part; the part target is 0.5 s, so the advance limit is six parts."""
    Writer(tmp_path).parts(9)
    response = await origin.get(f"720p/media.m3u8?{query}")
    assert response.status == 400
    assert "_HLS_" in await text(response)
    assert response.headers["Cache-Control"] == "public, max-age=1"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "query",
    ["", "_HLS_msn=0", "_HLS_msn=1", "_HLS_msn=0&_HLS_part=0", "_HLS_msn=1&_HLS_part=3", "_HLS_msn=2&_HLS_part=0",
     "_HLS_msn=0&_HLS_part=4", "_HLS_msn=1&_HLS_part=4", "_HLS_msn=0&_HLS_part=99", "_HLS_skip=YES", "_HLS_skip=v2",
     "_HLS_msn=1&_HLS_skip=YES", "other=1&_HLS_other=2"],
)  # fmt: skip
async def test_what_is_there_is_answered_at_once(tmp_path: Path, origin: Origin, query: str) -> None:
    Writer(tmp_path).parts(9)
    response = await origin.get(f"720p/media.m3u8?{query}")
    assert response.status == 200
    assert 'URI="2.0.m4s"' in await text(response)


@pytest.mark.parametrize("query", ["_HLS_msn=2", "_HLS_msn=2&_HLS_part=1", "_HLS_msn=2&_HLS_part=6", "_HLS_msn=3"])
async def test_what_is_near_is_waited_for(tmp_path: Path, origin: Origin, query: str) -> None:
    writer = Writer(tmp_path)
    writer.parts(9)
    request = await hold(origin, f"720p/media.m3u8?{query}")
    writer.segments(3)
    assert (await request).status == 200


async def test_a_part_beyond_a_segments_last_is_the_first_of_the_next(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path)
    writer.segments(1)
    request = await hold(origin, "720p/media.m3u8?_HLS_msn=0&_HLS_part=4")
    writer.parts(1)
    assert 'URI="1.0.m4s"' in await text(await request)


async def test_the_end_releases_everybody_and_is_answered_at_once(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path)
    writer.parts(5)
    playlist = await hold(origin, "720p/media.m3u8?_HLS_msn=1&_HLS_part=1")
    part = await hold(origin, "720p/1.1.m4s")
    writer.publication.end()
    assert "#EXT-X-ENDLIST" in await text(await playlist)
    assert (await part).status == 404
    assert "#EXT-X-ENDLIST" in await text(await origin.get("720p/media.m3u8?_HLS_msn=999&_HLS_part=7"))


@pytest.mark.parametrize("query", ["_HLS_part=1", "_HLS_msn=x", "_HLS_skip=YES", "_HLS_msn=99999&_HLS_skip=YES"])
async def test_directives_are_ignored_once_the_playlist_has_ended(tmp_path: Path, origin: Origin, query: str) -> None:
    writer = Writer(tmp_path, window_s=60)
    writer.segments(20)
    writer.publication.end()
    asked, plain = await origin.get(f"720p/media.m3u8?{query}"), await origin.get("720p/media.m3u8")
    assert (asked.status, await text(asked)) == (200, await text(plain))
    assert "EXT-X-SKIP" not in await text(asked)


async def test_a_request_that_is_held_for_too_long_gets_503(tmp_path: Path, new_origin: NewOrigin) -> None:
    origin = await new_origin(hold_target_durations=0.01)
    Writer(tmp_path).parts(5)
    response = await origin.get("720p/media.m3u8?_HLS_msn=1&_HLS_part=1")
    assert response.status == 503
    assert response.headers["Cache-Control"] == "public, max-age=1"
    assert (await origin.get("720p/1.1.m4s")).status == 404
    assert origin.session.held_requests == 0


@pytest.mark.parametrize("path", ["720p/media.m3u8?_HLS_msn=1&_HLS_part=1", "720p/1.1.m4s"])
async def test_a_viewer_who_leaves_frees_its_wait_at_once(tmp_path: Path, origin: Origin, path: str) -> None:
    Writer(tmp_path).parts(5)
    requests = [await hold(origin, path) for _ in range(3)]
    for request in requests[:2]:
        request.cancel()
    await origin.held(1)
    requests[2].cancel()
    await origin.held(0)


async def test_many_viewers_are_released_by_one_part(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path)
    writer.parts(5)
    requests = [await hold(origin, "720p/media.m3u8?_HLS_msn=1&_HLS_part=1") for _ in range(20)]
    writer.parts(1)
    bodies = {await text(await request) for request in requests}
    assert len(bodies) == 1


@pytest.mark.parametrize("path", ["720p/media.m3u8?_HLS_msn=1&_HLS_part=1", "720p/1.1.m4s"])
async def test_a_session_that_is_removed_lets_its_viewers_go(tmp_path: Path, origin: Origin, path: str) -> None:
    writer = Writer(tmp_path)
    writer.parts(5)
    request = await hold(origin, path)
    shutil.rmtree(writer.directory)
    assert (await request).status == 404
    assert (await origin.get("720p/media.m3u8")).status == 404


async def test_a_shutdown_lets_everybody_go(tmp_path: Path, origin: Origin) -> None:
    Writer(tmp_path).parts(5)
    request = await hold(origin, "720p/media.m3u8?_HLS_msn=1&_HLS_part=1")
    await origin.client.server.close()
    assert (await request).status == 404
    with pytest.raises(SessionGone):
        origin.sessions.current(EDGE_ID)


async def caught_up(origin: Origin, writer: Writer) -> None:
    await until(lambda: origin.session.presentation.renditions["audio"].last_part == (writer.msn - 1, 3))


async def test_a_journal_is_followed_through_its_compaction(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path)
    journal = writer.directory / "journal.jsonl"
    first = journal.stat().st_ino
    while journal.stat().st_ino == first:
        msn, part = origin.session.presentation.renditions["720p"].next_part
        request = await hold(origin, f"720p/media.m3u8?_HLS_msn={msn}&_HLS_part={part}")
        writer.segments(10)
        assert (await request).status == 200
        await caught_up(origin, writer)
    assert f'URI="{writer.msn}.0.m4s"' in await text(await origin.get("720p/media.m3u8"))
    request = await hold(origin, f"720p/media.m3u8?_HLS_msn={writer.msn}&_HLS_part=1")
    writer.parts(2)
    assert (await request).status == 200


async def test_a_classic_playlist_ignores_directives(tmp_path: Path, origin: Origin) -> None:
    Writer(tmp_path, low_latency=False).segments(2)
    response = await origin.get("720p/media.m3u8?_HLS_msn=99&_HLS_part=x")
    assert response.status == 200
    assert "PART" not in await text(response)
