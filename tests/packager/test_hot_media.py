"""Media from memory: the same answers as the routes give, only for plain requests, and never out of turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from antlive.http_runner import HttpRunner
from packager.hot_media import HotMedia
from packager.media_files import HOT
from packager.origin import hot_media, setup_origin
from tests.packager.conftest import BASE
from tests.packager.helpers import EDGE_ID, SESSION_ID, Writer

HEADERS = b"Host: a\r\nUser-Agent: player\r\n"
PART = f"{BASE}/720p/1.0.m4s".encode()


def request(path: bytes = PART, headers: bytes = HEADERS, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, path, version, headers)


@dataclass
class Server:
    hot: HotMedia
    port: int

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    app = web.Application()
    setup_origin(app, tmp_path)
    hot = app[HOT]
    runner = HttpRunner(app, hot.answer, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Server(hot, runner.addresses[0][1])
    await runner.cleanup()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers.get("Content-Length", 0)))


@pytest.mark.parametrize("path", ["720p/init-0.mp4", "720p/0.m4s", "720p/1.0.m4s", "audio/1.0.m4s"])
async def test_a_plain_request_gets_what_the_route_gives(tmp_path: Path, server: Server, path: str) -> None:
    Writer(tmp_path).parts(6)
    url = f"{BASE}/{path}".encode()
    reader, writer = await server.connect()
    writer.write(request(url))
    from_memory = await answer(reader)
    assert server.hot.answers == 1
    writer.write(request(url, HEADERS + b"If-None-Match: x\r\n"))
    from_route = await answer(reader)
    assert server.hot.answers == 1
    names = ("Content-Type", "Content-Length", "Cache-Control", "Accept-Ranges", "Access-Control-Allow-Origin")
    assert [from_memory[1][name] for name in names] == [from_route[1][name] for name in names]
    assert (from_memory[0], from_memory[2]) == (from_route[0], from_route[2])
    assert "Date" in from_memory[1]
    writer.close()


@pytest.mark.parametrize(
    "data",
    [
        request(method=b"HEAD"),
        request(version=b"1.0"),
        request(headers=HEADERS + b"Range: bytes=0-1\r\n"),
        request(headers=HEADERS + b"if-range: x\r\n"),
        request(headers=HEADERS + b"Connection: close\r\n"),
        request(headers=HEADERS + b"Content-Length: 5\r\n"),
        request(headers=HEADERS + b"Transfer-Encoding: chunked\r\n"),
        request(headers=HEADERS + b"X-Antlive-Proxied: 1\r\n"),
        request()[:-1],
        request() + b"GET ",
        request() + request(),
        request(PART + b"?a=1"),
        request(PART.replace(b"720p", b"..")),
        request(f"{BASE}/720p/1.9.m4s".encode()),
        request(f"{BASE}/720p/media.m3u8".encode()),
        request(f"/live/{EDGE_ID}/{SESSION_ID}/720p/1..m4s".encode()),
        b"",
    ],
)
async def test_anything_else_is_left_to_the_routes(tmp_path: Path, data: bytes) -> None:
    Writer(tmp_path).parts(6)
    hot = hot_media(tmp_path)
    assert hot.answer(request()) is not None
    assert hot.answer(data) is None


async def test_memory_is_bounded(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.segments(3)
    size_bytes = (writer.directory / "720p" / "0.m4s").stat().st_size
    hot = HotMedia(tmp_path, b"", capacity_bytes=2 * size_bytes)
    for msn in (0, 1, 2, 0):
        found = hot.answer(request(f"{BASE}/720p/{msn}.m4s".encode()))
        assert found is not None
        assert found[1] == (writer.directory / "720p" / f"{msn}.m4s").read_bytes()
        assert hot.size_bytes <= 2 * size_bytes
    for number in range(1000):
        assert hot.answer(request(headers=b"Host: %d\r\n" % number)) is not None


async def test_a_request_that_comes_in_pieces_is_one_request(tmp_path: Path, server: Server) -> None:
    Writer(tmp_path).parts(6)
    reader, writer = await server.connect()
    for piece in (b"GET /live/nothing HTTP/1.1\r\nX: ", b"", request()):
        writer.write(piece)
        await writer.drain()
        # The piece has arrived when a request of another connection is answered after it.
        other_reader, other_writer = await server.connect()
        other_writer.write(request())
        await answer(other_reader)
        other_writer.close()
    # To a parser the last piece goes on with the header X; it is not a request of its own.
    assert (await answer(reader))[0] == 404
    writer.write(request())
    assert (await answer(reader))[0] == 200
    writer.close()


async def test_answers_keep_their_order(tmp_path: Path, server: Server) -> None:
    """A request for media that follows one that is held waits for its turn."""
    published = Writer(tmp_path)
    published.parts(6)
    reader, writer = await server.connect()
    writer.write(request(f"{BASE}/720p/media.m3u8?_HLS_msn=1&_HLS_part=2".encode()))
    await writer.drain()
    other_reader, other_writer = await server.connect()
    other_writer.write(request())
    await answer(other_reader)
    writer.write(request())
    other_writer.write(request())
    await answer(other_reader)
    published.parts(1)
    assert (await answer(reader))[1]["Content-Type"] == "application/vnd.apple.mpegurl"
    assert (await answer(reader))[1]["Content-Type"] == "video/mp4"
    for each in (writer, other_writer):
        each.close()


async def test_only_media_of_the_directory_is_kept_in_memory(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "media")
    writer.segments(1)
    hot = hot_media(tmp_path / "media")
    segment = writer.directory / "720p" / "0.m4s"
    assert hot.body(segment) == segment.read_bytes()
    poster, recorded = writer.directory / "poster.jpg", tmp_path / "recordings" / "0.m4s"
    recorded.parent.mkdir()
    for file in (poster, recorded):
        file.write_bytes(b"may change")
        assert hot.body(file) is None
