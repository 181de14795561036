"""Parts that are delivered while they are made, where that is switched on."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path

import aiohttp
import pytest
from aiohttp import ClientResponse

from packager.cuts import PlannedCuts
from packager.origin import GROWING
from packager.publication import Part, Publication
from packager.segmenter import RenditionSegmenter
from tests.packager.conftest import BASE, Origin
from tests.packager.helpers import EDGE_ID, SESSION_ID, new_publication, sample, until, video_track

PART = "720p/0.0.m4s"
CHUNKS = (b"first;", b"second;", b"third;")
WHOLE = b"".join(CHUNKS)


@pytest.fixture
def publication(tmp_path: Path) -> Publication:
    out = new_publication(tmp_path, chunk_s=0.033)
    out.add_rendition(video_track())
    out.open_segment("720p", 0, 0.0, False)
    return out


def finish(publication: Publication) -> None:
    publication.write_part("720p", Part(WHOLE, 0.5, independent=True))


@pytest.fixture
async def streaming(origin: Origin, publication: Publication) -> AsyncIterator[ClientResponse]:
    """A request for the open part that has got the first of its chunks."""
    publication.append_chunk("720p", CHUNKS[0])
    async with origin.client.get(f"{BASE}/{PART}") as response:
        assert await response.content.readexactly(len(CHUNKS[0])) == CHUNKS[0]
        yield response


def growing(origin: Origin) -> Callable[[int], bool]:
    assert origin.client.app is not None
    parts = origin.client.app[GROWING]
    return lambda count: parts.watched == count


async def test_each_chunk_arrives_when_it_is_made(publication: Publication, streaming: ClientResponse) -> None:
    assert streaming.headers["Transfer-Encoding"] == "chunked"
    assert streaming.headers["Cache-Control"].endswith("immutable")
    assert streaming.headers["Content-Type"] == "video/mp4"
    for chunk in CHUNKS[1:]:
        publication.append_chunk("720p", chunk)
        assert await streaming.content.readexactly(len(chunk)) == chunk
    assert not streaming.content.at_eof()
    finish(publication)
    assert await streaming.content.read() == b""


async def test_a_request_that_comes_before_the_first_chunk_waits_for_it(
    origin: Origin, publication: Publication
) -> None:
    task = asyncio.create_task(origin.client.get(f"{BASE}/{PART}").__aenter__())
    await origin.held(1)
    assert not task.done()
    publication.append_chunk("720p", CHUNKS[0])
    response = await task
    assert await response.content.readexactly(len(CHUNKS[0])) == CHUNKS[0]
    finish(publication)
    assert await response.read() == WHOLE[len(CHUNKS[0]) :]


async def test_what_was_streamed_is_the_file_that_stays(
    origin: Origin, publication: Publication, streaming: ClientResponse, tmp_path: Path
) -> None:
    publication.append_chunk("720p", CHUNKS[1])
    finish(publication)
    assert CHUNKS[0] + await streaming.read() == WHOLE
    later = await origin.get(PART)
    assert (later.status, await later.read(), later.headers["Content-Length"]) == (200, WHOLE, str(len(WHOLE)))
    assert sorted(file.name for file in (tmp_path / EDGE_ID / SESSION_ID / "720p").iterdir()) == [
        "0.0.m4s",
        "init-0.mp4",
    ]


async def test_who_comes_late_gets_what_there_is_at_once(
    origin: Origin, publication: Publication, streaming: ClientResponse
) -> None:
    publication.append_chunk("720p", CHUNKS[1])
    async with origin.client.get(f"{BASE}/{PART}") as late:
        assert await late.content.readexactly(len(CHUNKS[0] + CHUNKS[1])) == CHUNKS[0] + CHUNKS[1]
        finish(publication)
        assert await late.read() == CHUNKS[2]


@pytest.mark.parametrize(
    ("method", "headers", "status", "body"),
    [
        ("GET", {"Range": "bytes=6-"}, 206, WHOLE[6:]),
        ("HEAD", {}, 200, b""),
        ("GET", {"If-None-Match": '"x"'}, 200, WHOLE),
    ],
)
async def test_ranges_conditions_and_head_wait_for_the_whole(
    origin: Origin, publication: Publication, method: str, headers: dict[str, str], status: int, body: bytes
) -> None:
    publication.append_chunk("720p", CHUNKS[0])
    task = asyncio.create_task(origin.client.request(method, f"{BASE}/{PART}", headers=headers).__aenter__())
    await origin.held(1)
    publication.append_chunk("720p", CHUNKS[1])
    finish(publication)
    response = await task
    assert (response.status, await response.read()) == (status, body)
    assert "Transfer-Encoding" not in response.headers


async def test_http_1_0_waits_for_the_whole(origin: Origin, publication: Publication) -> None:
    publication.append_chunk("720p", CHUNKS[0])
    reader, writer = await asyncio.open_connection(origin.client.server.host, origin.client.server.port)
    writer.write(f"GET {BASE}/{PART} HTTP/1.0\r\n\r\n".encode())
    await origin.held(1)
    finish(publication)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert b" 200 " in head and b"chunked" not in head and body == WHOLE


async def test_many_viewers_share_one_file_and_one_wait(
    origin: Origin, publication: Publication, streaming: ClientResponse
) -> None:
    requests = [asyncio.create_task(origin.get(PART)) for _ in range(50)]
    publication.append_chunk("720p", CHUNKS[1])
    await until(lambda: growing(origin)(1))
    assert origin.session.held_requests == 1
    finish(publication)
    assert {await (await request).read() for request in requests} == {WHOLE}
    await until(lambda: growing(origin)(0))


async def test_a_viewer_who_leaves_frees_what_was_kept_for_it(
    origin: Origin, publication: Publication, streaming: ClientResponse
) -> None:
    assert growing(origin)(1)
    streaming.close()
    publication.append_chunk("720p", CHUNKS[1])
    await origin.held(0)
    await until(lambda: growing(origin)(0))


@pytest.mark.parametrize("end", ["removed", "ended"])
async def test_a_part_that_never_becomes_whole_breaks_its_connection(
    origin: Origin, publication: Publication, streaming: ClientResponse, tmp_path: Path, end: str
) -> None:
    """A cache must not keep half a part."""
    if end == "removed":
        shutil.rmtree(tmp_path / EDGE_ID / SESSION_ID)
    else:
        publication.end()
    with pytest.raises(aiohttp.ClientPayloadError):
        await streaming.read()


async def test_a_part_that_another_worker_begins_anew_breaks_its_connection(
    origin: Origin, publication: Publication, streaming: ClientResponse, tmp_path: Path
) -> None:
    os.close(publication._directory_lock)  # as its process does when it is killed
    other = new_publication(tmp_path, chunk_s=0.033)
    other.add_rendition(video_track())
    other.append_chunk("720p", b"anew;")
    other.write_part("720p", Part(b"anew;and more;", 0.5, independent=True))
    with pytest.raises(aiohttp.ClientPayloadError):
        await streaming.read()
    assert await (await origin.get(PART)).read() == b"anew;and more;"


async def test_without_chunks_a_part_arrives_whole(origin: Origin, tmp_path: Path) -> None:
    publication = new_publication(tmp_path)
    publication.add_rendition(video_track())
    publication.open_segment("720p", 0, 0.0, False)
    (tmp_path / EDGE_ID / SESSION_ID / "720p/.0.0.m4s").write_bytes(b"being written")
    task = asyncio.create_task(origin.get(PART))
    await origin.held(1)
    assert growing(origin)(0)
    finish(publication)
    response = await task
    assert await response.read() == WHOLE and response.headers["Content-Length"] == str(len(WHOLE))


@pytest.mark.parametrize(("chunk_s", "fragments_per_part"), [(0, 1), (0.033, 5), (0.066, 3), (0.1, 2), (1, 1)])
def test_a_part_is_as_many_fragments_as_it_holds_chunks(
    tmp_path: Path, chunk_s: float, fragments_per_part: int
) -> None:
    """Parts of five frames at 30 frames/s."""
    publication = new_publication(tmp_path, chunk_s=chunk_s)
    starts = [Fraction(index, 6) for index in range(6)]
    segmenter = RenditionSegmenter(publication, video_track(), PlannedCuts(starts, Fraction(1), 90_000, Fraction(0)))
    for frame in range(60):
        segmenter.add(sample(frame * 3000, keyframe=frame % 30 == 0))
    segmenter.flush()
    directory = tmp_path / EDGE_ID / SESSION_ID / "720p"
    for msn in range(2):
        parts = [(directory / f"{msn}.{part}.m4s").read_bytes() for part in range(6)]
        assert [part.count(b"moof") for part in parts] == [fragments_per_part] * 6
        assert all(part.count(b"data" * (5 // fragments_per_part)) for part in parts)
        assert (directory / f"{msn}.m4s").read_bytes() == b"".join(parts)
    assert not [file for file in directory.iterdir() if file.name.startswith(".")]


def test_a_planned_part_is_published_with_its_last_sample(tmp_path: Path) -> None:
    """Nothing waits for the sample after it: that would cost a frame of latency."""
    publication = new_publication(tmp_path)
    cuts = PlannedCuts([Fraction(0), Fraction(1, 2)], Fraction(1), 90_000, Fraction(0))
    segmenter = RenditionSegmenter(publication, video_track(), cuts)
    directory = tmp_path / EDGE_ID / SESSION_ID / "720p"
    for frame in range(30):
        segmenter.add(sample(frame * 3000, keyframe=frame == 0))
        assert (directory / "0.0.m4s").exists() == (frame >= 14)
    assert (directory / "0.1.m4s").exists() and (directory / "0.m4s").exists()
    segmenter.flush()
    assert not (directory / "1.m4s").exists()


def test_a_segment_that_stops_after_a_part_holds_that_part(tmp_path: Path) -> None:
    publication = new_publication(tmp_path)
    cuts = PlannedCuts([Fraction(0), Fraction(1, 2)], Fraction(1), 90_000, Fraction(0))
    segmenter = RenditionSegmenter(publication, video_track(), cuts)
    for frame in range(15):
        segmenter.add(sample(frame * 3000, keyframe=frame == 0))
    segmenter.flush()
    directory = tmp_path / EDGE_ID / SESSION_ID / "720p"
    assert (directory / "0.m4s").read_bytes() == (directory / "0.0.m4s").read_bytes()
    assert not (directory / "0.1.m4s").exists()
