"""Two nodes' origins: each answers for all sessions, also for those that move from one to the other."""

from __future__ import annotations

import asyncio
import gzip
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from packager import anywhere
from packager.anywhere import SESSIONS
from packager.elsewhere import PROXIED, Elsewhere
from packager.origin import setup_origin
from packager.publication import Part
from tests.packager.conftest import MASTER, Origin
from tests.packager.helpers import EDGE_ID, SESSION_ID, Writer, until

PLAYLIST = "720p/media.m3u8"


@dataclass(frozen=True)
class FakeOwner:
    url: str
    is_here: bool
    session_id: str = SESSION_ID
    is_live: bool = True


@dataclass
class FakeOwners:
    """One node's view: the owner of `EDGE_ID`."""

    known: FakeOwner | None = None
    asked: int = 0

    async def owner(self, edge_id: str) -> FakeOwner | None:
        self.asked += 1
        return self.known if edge_id == EDGE_ID else None


@dataclass
class Node:
    """A node's media directory, origin and knowledge."""

    media_dir: Path
    owners: FakeOwners
    origin: Origin
    url: str


@dataclass
class Nodes:
    a: Node
    b: Node

    def move_to(self, owner: Node | None, **changes: object) -> None:
        """Tell all nodes that this one has the session."""
        for node in (self.a, self.b):
            found = None if owner is None else FakeOwner(owner.url, is_here=owner is node)
            node.owners.known = None if found is None else replace(found, **changes)  # type: ignore[arg-type]


@pytest.fixture
async def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Nodes]:
    monkeypatch.setattr(anywhere, "_AWAY_LOOK_S", 0.02)
    async with AsyncExitStack() as stack:
        found = []
        for name in ("a", "b"):
            app, owners = web.Application(), FakeOwners()
            setup_origin(app, tmp_path / name, elsewhere=Elsewhere(owners))
            server = TestServer(app)
            await server.start_server()
            client = await stack.enter_async_context(TestClient(server, auto_decompress=False))
            url = str(server.make_url("")).rstrip("/")
            found.append(Node(tmp_path / name, owners, Origin(client, app[SESSIONS]), url))
        both = Nodes(found[0], found[1])
        both.move_to(both.a)
        yield both


async def test_a_node_answers_for_the_other_as_that_would(nodes: Nodes) -> None:
    Writer(nodes.a.media_dir).parts(6)
    for path in (MASTER, PLAYLIST, f"{PLAYLIST}?_HLS_msn=0", "720p/0.m4s", "audio/1.0.m4s", "720p/99.m4s", "9p/1.m4s"):
        for headers in ({}, {"Accept-Encoding": "gzip"}, {"Range": "bytes=1-3"}):
            here = await nodes.a.origin.get(path, **headers)
            there = await nodes.b.origin.get(path, **headers)
            assert (there.status, await there.read()) == (here.status, await here.read()), path
            ignored = {"Date", "Last-Modified", "Connection"}
            assert {name: value for name, value in there.headers.items() if name not in ignored} == {
                name: value for name, value in here.headers.items() if name not in ignored
            }, path
    packed = await nodes.b.origin.get(MASTER, **{"Accept-Encoding": "gzip"})
    assert gzip.decompress(await packed.read()).startswith(b"#EXTM3U")
    async with nodes.b.origin.client.head(MASTER) as head:
        assert (head.status, await head.read()) == (200, b"")
    assert nodes.a.owners.asked == 0 or nodes.a.owners.asked < nodes.b.owners.asked


async def test_what_is_written_here_asks_nobody(nodes: Nodes) -> None:
    Writer(nodes.a.media_dir).parts(6)
    for path in (MASTER, PLAYLIST, "720p/0.m4s", "720p/1.0.m4s", "720p/77.m4s"):
        await nodes.a.origin.get(path)
    hinted = asyncio.create_task(nodes.a.origin.get("720p/1.2.m4s"))
    await nodes.a.origin.held(1)
    hinted.cancel()
    assert nodes.a.owners.asked == 0


async def test_a_held_request_is_held_by_the_owner_and_freed_when_the_viewer_leaves(nodes: Nodes) -> None:
    writer = Writer(nodes.a.media_dir)
    writer.parts(5)
    await nodes.a.origin.get(MASTER)
    stays = asyncio.create_task(nodes.b.origin.get(f"{PLAYLIST}?_HLS_msn=1&_HLS_part=1"))
    leaves = asyncio.create_task(nodes.b.origin.get("720p/1.1.m4s"))
    await until(lambda: nodes.a.origin.session.held_requests == 2)
    leaves.cancel()
    await until(lambda: nodes.a.origin.session.held_requests == 1)
    writer.parts(1)
    response = await stays
    assert response.status == 200 and b"1.1.m4s" in await response.read()


async def test_a_request_is_passed_on_once_only(nodes: Nodes) -> None:
    nodes.a.owners.known = FakeOwner(nodes.b.url, is_here=False, is_live=False)
    nodes.b.owners.known = FakeOwner(nodes.a.url, is_here=False, is_live=False)
    for path in (MASTER, PLAYLIST, "720p/0.m4s"):
        assert (await nodes.b.origin.get(path)).status == 404
    assert (await nodes.b.origin.get(MASTER, **{PROXIED: "1"})).status == 421


async def test_nobody_has_it(nodes: Nodes) -> None:
    nodes.move_to(None)
    for path in (MASTER, PLAYLIST, "720p/0.m4s"):
        response = await nodes.b.origin.get(path)
        assert (response.status, response.headers["Cache-Control"]) == (404, "public, max-age=1")


@pytest.mark.parametrize("path", ["/live/{edge}/master.m3u8", "/live/{edge}/{session}/720p/0.m4s"])
async def test_a_name_that_is_not_looked_up_now_is_503_at_once(nodes: Nodes, path: str) -> None:
    """As an owner directory answers that has been asked for too many names that nobody has."""
    nodes.a.owners.known = FakeOwner(url="", is_here=False, session_id="", is_live=False)
    response = await nodes.a.origin.get(path.format(edge=EDGE_ID, session=SESSION_ID))
    assert response.status == 503
    assert response.headers["Retry-After"] == "1" and response.headers["Cache-Control"] == "public, max-age=1"


async def test_what_a_node_had_of_a_session_that_is_over_has_gone_with_it(nodes: Nodes) -> None:
    nodes.a.owners.known = FakeOwner(url="", is_here=False, is_live=False)
    for path in (MASTER, PLAYLIST, "720p/0.m4s"):
        assert (await nodes.a.origin.get(path)).status == 404


async def test_a_node_that_is_gone_is_waited_for_by_playlists(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anywhere, "AWAY_HOLD_S", 0.2)
    nodes.move_to(nodes.a, url="http://127.0.0.1:9")
    for owner_url in ("http://127.0.0.1:9", ""):
        nodes.move_to(nodes.a, url=owner_url)
        for path, held in ((MASTER, True), (PLAYLIST, True), ("720p/0.m4s", False)):
            started_s = time.monotonic()
            response = await nodes.b.origin.get(path)
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
            assert response.headers["Cache-Control"] == "public, max-age=1"
            assert (time.monotonic() - started_s > 0.2) == held


async def test_viewers_of_a_node_that_was_killed_go_on_with_the_session_where_it_comes_back(nodes: Nodes) -> None:
    nodes.move_to(nodes.a, url="http://127.0.0.1:9")
    waiting = [asyncio.create_task(nodes.b.origin.get(path)) for path in (MASTER, f"{PLAYLIST}?_HLS_msn=7")]
    await until(lambda: nodes.b.owners.asked > 3)
    nodes.move_to(nodes.b)
    later = Writer(nodes.b.media_dir, live=False)
    later.msn = 7
    await until(lambda: nodes.b.owners.asked > 6)
    assert not any(task.done() for task in waiting), "nothing is there yet"
    # Players begin with a whole segment.
    later.parts(3)
    later.publication.make_current()
    await until(lambda: nodes.b.owners.asked > 9)
    assert not any(task.done() for task in waiting)
    later.parts(1)
    master, response = await asyncio.gather(*waiting)
    assert master.status == 200
    assert response.status == 200 and b"MEDIA-SEQUENCE:7" in await response.read()


@pytest.mark.parametrize("asked", ["a", "b"])
async def test_no_node_answers_for_a_session_that_moves_before_there_is_media(nodes: Nodes, asked: str) -> None:
    later = Writer(nodes.b.media_dir)
    nodes.move_to(nodes.b)
    for track in later.tracks:
        later.publication.open_segment(track.name, 7, 14.0, True)
    origin = getattr(nodes, asked).origin
    waiting = [asyncio.create_task(origin.get(path)) for path in (MASTER, PLAYLIST)]
    await until(lambda: nodes.a.owners.asked + nodes.b.owners.asked > 8 or any(task.done() for task in waiting))
    assert not any(task.done() for task in waiting), "nothing can be listed yet"
    for track in later.tracks:
        later.publication.finish_segment(track.name, [Part(b"part", 0.5, independent=True)])
    master, playlist = await asyncio.gather(*waiting)
    assert master.status == 200
    assert playlist.status == 200 and b"MEDIA-SEQUENCE:7" in await playlist.read()


async def test_viewers_of_a_node_that_lets_go_are_passed_on(nodes: Nodes) -> None:
    Writer(nodes.a.media_dir).parts(9)
    held = asyncio.create_task(nodes.a.origin.get(f"{PLAYLIST}?_HLS_msn=2&_HLS_part=1"))
    await nodes.a.origin.held(1)
    later = Writer(nodes.b.media_dir)
    later.msn = 5
    later.segments(1)
    nodes.move_to(nodes.b)
    (nodes.a.media_dir / EDGE_ID / SESSION_ID / "journal.jsonl").unlink()
    response = await held
    assert response.status == 200 and b"MEDIA-SEQUENCE:5" in await response.read()
    for path in (MASTER, PLAYLIST):
        assert await (await nodes.a.origin.get(path)).read() == await (await nodes.b.origin.get(path)).read()
    # What it has published can still be fetched from it.
    old = await nodes.a.origin.get("audio/1.m4s")
    assert (old.status, old.headers["Content-Type"]) == (200, "audio/mp4")
    assert (await nodes.a.origin.get("720p/5.0.m4s")).status == 200


async def test_a_request_that_a_hung_owner_holds_moves_with_the_session(nodes: Nodes) -> None:
    Writer(nodes.a.media_dir).parts(5)
    await nodes.a.origin.get(MASTER)
    held = asyncio.create_task(nodes.b.origin.get(f"{PLAYLIST}?_HLS_msn=1"))
    await nodes.a.origin.held(1)
    later = Writer(nodes.b.media_dir)
    later.msn = 4
    later.segments(1)
    nodes.move_to(nodes.b)
    assert b"MEDIA-SEQUENCE:4" in await (await held).read()
    await nodes.a.origin.held(0)


async def test_a_quiet_session_is_asked_for_and_an_ended_one_only_by_its_edge_id(nodes: Nodes) -> None:
    old = Writer(nodes.a.media_dir)
    old.parts(5)
    later = Writer(nodes.b.media_dir)
    later.msn = 9
    later.segments(1)
    nodes.move_to(nodes.b)
    assert b"MEDIA-SEQUENCE:0" in await (await nodes.a.origin.get(PLAYLIST)).read()
    journal = nodes.a.media_dir / EDGE_ID / SESSION_ID / "journal.jsonl"
    os.utime(journal, (time.time() - 4, time.time() - 4))
    assert b"MEDIA-SEQUENCE:9" in await (await nodes.a.origin.get(PLAYLIST)).read()
    # Nobody knows of another place: what is here is better than nothing.
    nodes.move_to(None)
    assert b"MEDIA-SEQUENCE:0" in await (await nodes.a.origin.get(PLAYLIST)).read()
    old.publication.end()
    nodes.move_to(nodes.b, session_id="se_" + "t" * 26)
    assert b"#EXT-X-ENDLIST" in await (await nodes.a.origin.get(PLAYLIST)).read()
    asked = nodes.a.owners.asked
    await nodes.a.origin.get(MASTER)
    assert nodes.a.owners.asked > asked
