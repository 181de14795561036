"""Blocking playlists that are answered in groups: what is held, for how long, and by the same bytes as the routes."""

from __future__ import annotations

import asyncio
import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp.web_protocol import RequestHandler

from packager.anywhere import SESSIONS
from packager.held_playlists import HeldPlaylists
from packager.held_requests import Group, HeldRequests
from packager.live_sessions import LiveSessions
from tests.packager.held import BY_ROUTE, HEADERS, Core, NewServer, Viewer, request
from tests.packager.helpers import EDGE_ID, SESSION_ID, Writer, until

NEXT = "720p/media.m3u8?_HLS_msn=1&_HLS_part=1"
"""What follows five parts."""


def test_a_group_is_held_until_the_part_is_there_and_gets_the_same_bytes(core: Core) -> None:
    waiting = [core.hold(NEXT) for _ in range(3)]
    later = core.hold("720p/media.m3u8?_HLS_msn=1&_HLS_part=2")
    plain = core.hold(NEXT, headers=b"Host: a\r\n")
    assert core.held_requests() == 5
    assert not any(viewer.answers for viewer in (*waiting, later, plain))
    core.publish()
    assert waiting[0].answers == waiting[1].answers == waiting[2].answers
    head, _, body = waiting[0].answers[0].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'URI="1.1.m4s"' in gzip.decompress(body)
    assert plain.answers[0].partition(b"\r\n\r\n")[2] == gzip.decompress(body)
    assert not later.answers
    assert core.held_requests() == 1
    assert sorted(len(told.asked) for told in core.told) == [1, 3]


def test_what_is_there_is_answered_at_once(core: Core) -> None:
    core.publish()
    found = core.held.ask(request(NEXT), Viewer())
    assert isinstance(found, tuple)
    assert b'URI="1.1.m4s"' in gzip.decompress(found[1])
    assert core.held_requests() == 0
    assert [told.status for told in core.told] == [200]


def test_each_is_held_for_three_target_durations_and_then_gets_503(core: Core) -> None:
    first = core.hold(NEXT)
    core.clock.go_to(104.0)
    second = core.hold(NEXT)
    core.clock.go_to(106.0)
    assert [viewer.answers[0].partition(b"\r\n")[0] for viewer in (first,)] == [b"HTTP/1.1 503 Service Unavailable"]
    assert not second.answers
    assert core.held_requests() == 1
    core.clock.go_to(110.0)
    assert second.answers == first.answers
    assert core.held_requests() == 0
    assert [(told.status, told.at_s - told.asked[0].at_s) for told in core.told] == [(503, 6.0), (503, 6.0)]


def test_a_group_that_was_answered_expires_no_more(core: Core) -> None:
    viewer = core.hold(NEXT)
    core.publish()
    core.clock.go_to(200.0)
    assert len(viewer.answers) == 1


def test_who_leaves_is_not_answered_and_frees_its_place(core: Core) -> None:
    viewers = [Viewer(), Viewer()]
    groups = [core.held.ask(request(NEXT), viewer) for viewer in viewers]
    for viewer, group in zip(viewers, groups, strict=True):
        assert isinstance(group, Group)
        group.leave(viewer)
    assert core.held_requests() == 0
    assert all(timer.cancelled for timer in core.clock.timers)
    core.publish()
    assert not any(viewer.answers for viewer in viewers)


def test_the_end_is_answered_by_the_whole_playlist(core: Core) -> None:
    viewer = core.hold(f"{NEXT}&_HLS_skip=YES")
    core.writer.publication.end()
    core.held_requests()
    assert b"#EXT-X-ENDLIST" in gzip.decompress(viewer.answers[0].partition(b"\r\n\r\n")[2])


def test_a_session_that_is_gone_gives_its_viewers_back(core: Core) -> None:
    viewers = [core.hold(NEXT), core.hold(NEXT)]
    session = core.sessions.get(EDGE_ID, SESSION_ID)
    session.let_go()
    assert [viewer.given_back for viewer in viewers] == [1, 1]
    assert session.held_requests == 0


@pytest.mark.parametrize(
    "data",
    [
        request(NEXT, method=b"HEAD"),
        request(NEXT, headers=HEADERS + BY_ROUTE),
        request(NEXT, headers=HEADERS + b"Connection: close\r\n"),
        request(NEXT, headers=HEADERS + b"X-Antlive-Proxied: 1\r\n"),
        request(NEXT, headers=HEADERS + b"Space : 1\r\n"),
        request(NEXT, headers=HEADERS + b"Folded: 1\r\n 2\r\n"),
        request(NEXT, headers=HEADERS + b"Control: \x00\r\n"),
        request(NEXT, headers=HEADERS + b"X: %b\r\n" % (b"x" * 5000)),
        request(NEXT)[:-1],
        request(NEXT) + b"G",
        request(NEXT) + request(NEXT),
        request("720p/media.m3u8"),
        request("master.m3u8"),
        request("720p/media.m3u8?_HLS_part=1&_HLS_msn=1"),
        request("720p/media.m3u8?_HLS_msn=1&_HLS_msn=1"),
        request(f"{NEXT}&_HLS_skip=NO"),
        request(f"{NEXT}&other=1"),
        request("720p/media.m3u8?_HLS_msn=99"),
        request("720p/media.m3u8?_HLS_msn=1&_HLS_part=99"),
        request("240p/media.m3u8?_HLS_msn=1"),
        request(NEXT).replace(SESSION_ID.encode(), SESSION_ID.replace("s", "t").encode()),
    ],
)
def test_anything_else_is_left_to_the_routes(core: Core, data: bytes) -> None:
    assert core.held.ask(data, Viewer()) is None
    assert core.held_requests() == 0


def test_classic_and_ended_sessions_are_left_to_the_routes(tmp_path: Path, core: Core) -> None:
    core.writer.publication.end()
    assert core.held.ask(request(NEXT), Viewer()) is None
    Writer(tmp_path / "classic", low_latency=False).segments(1)
    classic = HeldRequests(3, HeldPlaylists(LiveSessions(tmp_path / "classic")).recognise)
    assert classic.ask(request("720p/media.m3u8?_HLS_msn=0"), Viewer()) is None


@pytest.mark.parametrize("headers", [HEADERS, b"Host: a\r\n", b"Host: a\r\nAccept-Encoding: gzip;q=0\r\n"])
@pytest.mark.parametrize("skip", ["", "&_HLS_skip=YES"])
async def test_both_ways_give_the_same_bytes(tmp_path: Path, new_server: NewServer, headers: bytes, skip: str) -> None:
    server, writer = await new_server(), Writer(tmp_path, window_s=60)
    writer.segments(16)
    writer.parts(1)
    path = f"720p/media.m3u8?_HLS_msn=16&_HLS_part=1{skip}"
    ours, theirs = await server.hold(path, headers), await server.hold(path, headers + BY_ROUTE)
    assert server.in_groups == 1
    writer.parts(1)
    held = await ours.answer()
    assert held == await theirs.answer()
    # And once more, now that it is there.
    ours.ask(request(path, headers))
    theirs.ask(request(path, headers + BY_ROUTE))
    assert await ours.answer() == await theirs.answer() == held
    for connection in (ours, theirs):
        connection.writer.close()


async def test_both_ways_give_the_same_503(tmp_path: Path, new_server: NewServer) -> None:
    server = await new_server(hold_target_durations=0.05)
    Writer(tmp_path).parts(5)
    ours, theirs = await server.hold(NEXT), await server.hold(NEXT, headers=HEADERS + BY_ROUTE)
    answers = await ours.answer(), await theirs.answer()
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 503 ")


async def test_both_ways_are_counted_alike(tmp_path: Path, new_server: NewServer) -> None:
    server, writer = await new_server(), Writer(tmp_path)
    writer.parts(5)
    ours, theirs = await server.hold(NEXT), await server.hold(NEXT, headers=HEADERS + BY_ROUTE)
    assert (server.app[SESSIONS].held_requests, server.in_groups) == (2, 1)
    writer.parts(1)
    size_bytes = len((await ours.answer()).partition(b"\r\n\r\n")[2])
    await theirs.answer()

    def counted(name: str, **labels: str) -> float:
        samples = (sample for family in server.meter.collect() for sample in family.samples if sample.name == name)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    await until(lambda: counted("antlive_http_requests_total", kind="playlist", status="2xx") == 2)
    assert counted("antlive_http_sent_bytes_total", kind="playlist") == 2 * size_bytes
    assert counted("antlive_http_request_seconds_count", kind="playlist") == 2
    assert server.meter.viewers.count == 1, "they say that they are the same player"


async def test_a_request_that_follows_one_that_waits_keeps_its_turn(tmp_path: Path, new_server: NewServer) -> None:
    server, writer = await new_server(), Writer(tmp_path)
    writer.parts(5)
    connection = await server.hold(NEXT)
    assert server.in_groups == 1
    connection.ask(request("720p/0.0.m4s"))
    await until(lambda: server.in_groups == 0)
    assert server.app[SESSIONS].held_requests == 1
    writer.parts(1)
    assert b"mpegurl" in await connection.answer()
    assert (await connection.answer()).endswith(b"msn 0 part 0;")


async def test_who_asks_again_before_the_library_is_ready_is_held_too(
    tmp_path: Path, new_server: NewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, writer = await new_server(), Writer(tmp_path)
    writer.parts(5)
    connection = await server.connect()
    assert server.runner.server is not None
    handler = type(server.runner.server.connections[0])
    finish = handler.finish_response

    async def finish_and_hear(self: RequestHandler, *answered: Any) -> Any:
        try:
            return await finish(self, *answered)
        finally:
            self.data_received(request(NEXT))

    monkeypatch.setattr(handler, "finish_response", finish_and_hear)
    connection.ask(request("720p/media.m3u8"))
    await connection.answer()
    assert server.in_groups == 1
    monkeypatch.undo()
    writer.parts(1)
    assert b"mpegurl" in await connection.answer()
    connection.ask(request("720p/media.m3u8"))
    assert b"mpegurl" in await connection.answer()


async def test_a_viewer_who_leaves_frees_its_place(tmp_path: Path, new_server: NewServer) -> None:
    server = await new_server()
    Writer(tmp_path).parts(5)
    connection = await server.hold(NEXT)
    assert server.in_groups == 1
    connection.writer.close()
    await until(lambda: server.app[SESSIONS].held_requests == 0)


async def test_a_session_that_is_removed_is_404_both_ways(tmp_path: Path, new_server: NewServer) -> None:
    server, writer = await new_server(), Writer(tmp_path)
    writer.parts(5)
    ours, theirs = await server.hold(NEXT), await server.hold(NEXT, headers=HEADERS + BY_ROUTE)
    shutil.rmtree(writer.directory)
    answers = await ours.answer(), await theirs.answer()
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 404 ")


async def test_a_shutdown_answers_whoever_waits_both_ways(tmp_path: Path, new_server: NewServer) -> None:
    server = await new_server()
    Writer(tmp_path).parts(5)
    ours, theirs = await server.hold(NEXT), await server.hold(NEXT, headers=HEADERS + BY_ROUTE)
    async with asyncio.timeout(5):
        _, mine, other = await asyncio.gather(server.runner.cleanup(), ours.answer(), theirs.answer())
    assert mine == other
    assert mine.startswith(b"HTTP/1.1 404 ")
    assert await ours.reader.read() == b""
