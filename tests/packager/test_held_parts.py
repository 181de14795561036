"""Hinted parts that are asked for before they are there: held in groups, and by the same bytes as the routes."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from packager.anywhere import SESSIONS
from packager.publication import Part
from tests.packager.held import BY_ROUTE, HEADERS, Core, NewServer, Viewer, request
from tests.packager.helpers import EDGE_ID, SESSION_ID, Writer, new_publication, until, video_track

HINTED = "720p/1.1.m4s"
"""What follows five parts."""


def part(data: bytes) -> Part:
    return Part(data, 0.5, independent=False)


def test_a_hinted_part_is_held_until_it_is_there_and_all_get_the_same_bytes(core: Core) -> None:
    waiting, audio = [core.hold(HINTED) for _ in range(3)], core.hold("audio/1.1.m4s")
    core.held_requests()
    assert not any(viewer.answers for viewer in (*waiting, audio))
    core.publish()
    assert waiting[0].answers == waiting[1].answers == waiting[2].answers
    head, _, body = waiting[0].answers[0].partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: video/mp4\r\n" in head
    assert b"\r\nContent-Type: audio/mp4\r\n" in audio.answers[0]
    assert body == b"msn 1 part 1;"
    assert core.held_requests() == 0
    assert sorted((told.kind, told.rendition, len(told.asked)) for told in core.told) == [
        ("media", "720p", 3),
        ("media", "audio", 1),
    ]


def test_a_playlist_and_its_hinted_part_wait_side_by_side(core: Core) -> None:
    playlist, part = core.hold("720p/media.m3u8?_HLS_msn=1&_HLS_part=1"), core.hold(HINTED)
    core.publish()
    assert b"mpegurl" in playlist.answers[0]
    assert b"video/mp4" in part.answers[0]


def test_the_first_part_of_the_next_segment_is_waited_for(core: Core) -> None:
    core.publish(3)
    waiting = core.hold("720p/2.0.m4s")
    core.publish()
    assert waiting.answers[0].endswith(b"msn 2 part 0;")


def test_who_waits_when_the_session_ends_is_given_back(core: Core) -> None:
    waiting = core.hold(HINTED)
    core.writer.publication.end()
    core.held_requests()
    assert (waiting.answers, waiting.given_back) == ([], 1)


def test_a_part_that_will_not_come_any_more_is_left_to_the_routes(core: Core) -> None:
    waiting = core.hold(HINTED)
    core.writer.publication.break_off()
    core.writer.publication.open_segment("720p", 3, 6.0, True)
    core.writer.publication.write_part("720p", part(b"later"))
    core.held_requests()
    assert (waiting.answers, waiting.given_back) == ([], 1)


@pytest.mark.parametrize(
    "data",
    [
        request("720p/1.0.m4s"),  # there
        request("720p/1.2.m4s"),  # not hinted at
        request("720p/2.0.m4s"),
        request("720p/999999999999.0.m4s"),
        request("720p/1.m4s"),
        request("240p/1.1.m4s"),
        request(HINTED, method=b"HEAD"),
        request(f"{HINTED}?x=1"),
        request(HINTED, HEADERS + b"Range: bytes=0-\r\n"),
        request(HINTED, HEADERS + BY_ROUTE),
        request(HINTED, HEADERS + b"Connection: close\r\n"),
        request(HINTED, HEADERS + b"X-Antlive-Proxied: 1\r\n"),
        request(HINTED)[:-1],
        request(HINTED) + request(HINTED),
        request(HINTED).replace(SESSION_ID.encode(), SESSION_ID.replace("s", "t").encode()),
    ],
)
def test_anything_else_is_left_to_the_routes(core: Core, data: bytes) -> None:
    assert core.held.ask(data, Viewer()) is None
    assert core.held_requests() == 0


def test_progressive_parts_are_left_to_the_routes(tmp_path: Path, core: Core) -> None:
    edge_id = EDGE_ID.replace("e", "p")
    publication = new_publication(tmp_path, chunk_s=0.1, edge_id=edge_id)
    publication.add_rendition(video_track())
    publication.open_segment("720p", 0, 0.0, False)
    publication.write_part("720p", part(b"first"))
    data = request("720p/0.1.m4s").replace(EDGE_ID.encode(), edge_id.encode())
    assert core.held.ask(data, Viewer()) is None


@pytest.mark.parametrize("size_bytes", [10, 70_000, 5 << 20])
async def test_both_ways_give_the_same_bytes(tmp_path: Path, new_server: NewServer, size_bytes: int) -> None:
    server, writer = await new_server(), Writer(tmp_path)
    writer.parts(5)
    ours, theirs = await server.hold(HINTED), await server.hold(HINTED, HEADERS + b"If-Modified-Since: x\r\n")
    assert server.in_groups == 1
    writer.publication.write_part("720p", part(bytes(size_bytes)))
    mine, other = (answer.partition(b"\r\n\r\n") for answer in (await ours.answer(), await theirs.answer()))
    assert mine[2] == other[2] == bytes(size_bytes)
    others_own = (b"Etag:", b"Last-Modified:", b"Server:")
    lines = {line for line in other[0].split(b"\r\n") if not line.startswith(others_own)}
    assert {line for line in mine[0].split(b"\r\n") if not line.startswith(others_own)} == lines
    for connection in (ours, theirs):
        connection.writer.close()


async def test_both_ways_give_the_same_404_for_what_does_not_come_in_time(
    tmp_path: Path, new_server: NewServer
) -> None:
    server = await new_server(hold_target_durations=0.05)
    Writer(tmp_path).parts(5)
    ours, theirs = await server.hold(HINTED), await server.hold(HINTED, HEADERS + BY_ROUTE)
    answers = await ours.answer(), await theirs.answer()
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 404 ")


async def test_a_session_that_is_removed_is_404_both_ways(tmp_path: Path, new_server: NewServer) -> None:
    server, writer = await new_server(), Writer(tmp_path)
    writer.parts(5)
    ours, theirs = await server.hold(HINTED), await server.hold(HINTED, HEADERS + BY_ROUTE)
    shutil.rmtree(writer.directory)
    for answer in (await ours.answer(), await theirs.answer()):
        assert answer.startswith(b"HTTP/1.1 404 ")


async def test_what_was_held_is_counted_as_media_and_makes_no_viewer(tmp_path: Path, new_server: NewServer) -> None:
    server, writer = await new_server(), Writer(tmp_path)
    writer.parts(5)
    connection = await server.hold(HINTED)

    def counted(name: str) -> float:
        samples = (sample for family in server.meter.collect() for sample in family.samples if sample.name == name)
        return sum(sample.value for sample in samples if sample.labels["kind"] == "media")

    sent_before, count_before = counted("antlive_http_sent_bytes_total"), counted("antlive_http_request_seconds_count")
    writer.parts(1)
    assert (await connection.answer()).endswith(b"msn 1 part 1;")
    assert counted("antlive_http_sent_bytes_total") - sent_before == len(b"msn 1 part 1;")
    assert counted("antlive_http_request_seconds_count") - count_before == 1
    assert server.meter.viewers.count == 0


async def test_a_viewer_who_leaves_frees_its_place(tmp_path: Path, new_server: NewServer) -> None:
    server = await new_server()
    Writer(tmp_path).parts(5)
    connection = await server.hold(HINTED)
    assert server.in_groups == 1
    connection.writer.close()
    await until(lambda: server.app[SESSIONS].held_requests == 0)


async def test_a_shutdown_answers_whoever_waits_both_ways(tmp_path: Path, new_server: NewServer) -> None:
    server = await new_server()
    Writer(tmp_path).parts(5)
    ours, theirs = await server.hold(HINTED), await server.hold(HINTED, HEADERS + BY_ROUTE)
    async with asyncio.timeout(5):
        _, mine, other = await asyncio.gather(server.runner.cleanup(), ours.answer(), theirs.answer())
    for answer in (mine, other):
        assert answer.startswith(b"HTTP/1.1 404 ")
