"""What viewers may send: the right status, and no more memory or time than it deserves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop
from aiohttp import web

from antlive.http_runner import HttpRunner
from antlive.malformed_http import LINE_MAX_BYTES
from packager.anywhere import SESSIONS
from packager.live_sessions import LiveSessions
from packager.media_files import HOT
from packager.origin import HELD, setup_origin
from tests.packager.conftest import BASE, MASTER, Origin
from tests.packager.helpers import EDGE_ID, SESSION_ID, Writer, until

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")

PART = b"msn 0 part 0;"
RANGES = [
    "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=--1", "bytes=-0", "bytes=0-0,2-3", "items=0-1", "bytes",
    "bytes=99999999999999999999999-", "bytes=0-99999999999999999999999", "bytes=-99999999999999999999999",
    "bytes=" + ",".join(f"{n}-{n}" for n in range(1000)), "bytes=\u0661-", "bytes=1.5-2", "bytes=0x1-0x2", "bytes= 1-2",
]  # fmt: skip


@pytest.mark.parametrize("wanted", RANGES)
async def test_nonsense_as_range_gets_the_file_a_part_of_it_or_416(tmp_path: Path, origin: Origin, wanted: str) -> None:
    Writer(tmp_path).parts(1)
    for conditions in ({}, {"If-Range": "x"}, {"If-None-Match": "*"}, {"If-Modified-Since": "never"}):
        response = await origin.get("720p/0.0.m4s", Range=wanted, **conditions)
        assert response.status in (200, 206, 304, 416)
        body = await response.read()
        if response.status in (200, 206):
            assert body in PART
        assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("wanted", ["bytes=0-1", "bytes=nonsense"])
async def test_a_playlist_has_no_ranges(tmp_path: Path, origin: Origin, wanted: str) -> None:
    Writer(tmp_path).parts(1)
    whole = await origin.get("720p/media.m3u8")
    response = await origin.get("720p/media.m3u8", Range=wanted)
    assert (response.status, await response.read()) == (200, await whole.read())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (MASTER, 200), (f"{BASE}/720p/media.m3u8", 200), (f"{BASE}/720p/media.m3u8?_HLS_msn=0&_HLS_part=0", 200),
        (f"{BASE}/720p/media.m3u8?_HLS_msn=-1", 400), (f"{BASE}/720p/0.0.m4s", 200), (f"{BASE}/720p/9.9.m4s", 404),
        (f"/live/lse_{'0' * 26}/master.m3u8", 404),
    ],
)  # fmt: skip
async def test_head_is_answered_as_get_without_a_body(tmp_path: Path, origin: Origin, path: str, status: int) -> None:
    Writer(tmp_path).parts(1)
    got = await origin.get(path)
    async with origin.client.head(path, headers={"Accept-Encoding": "identity"}) as head:
        assert (head.status, got.status, await head.read()) == (status, status, b"")
        for name in ("Content-Length", "Content-Type", "Cache-Control"):
            assert head.headers.get(name) == got.headers.get(name)


async def test_head_of_what_is_not_there_yet_is_held_too(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path)
    writer.parts(1)
    paths = (f"{BASE}/720p/media.m3u8?_HLS_msn=0&_HLS_part=1", f"{BASE}/720p/0.1.m4s")
    held = [asyncio.create_task(origin.client.head(path).__aenter__()) for path in paths]
    await origin.held(2)
    writer.parts(1)
    assert [(await request).status for request in held] == [200, 200]


QUERIES = {
    "many others": ("&".join(f"a{n}={n}" for n in range(900)), 200),
    "one many times": ("&".join("_HLS_msn=0" for _ in range(600)), 400),
    "a long number": ("_HLS_msn=" + "9" * 5000, 400),
    "a long other": ("x=" + "y" * 7000, 200),
    "percents": ("_HLS_msn=%", 400),
    "broken UTF-8": ("_HLS_msn=%ff%fe", 400),
    "nulls": ("_HLS_msn=0%00", 400),
    "separators": ("&&&;;;===&_HLS_part", 400),
    "another case": ("_hls_msn=999999&_HLS_MSN=999999", 200),
    "without a value": ("_HLS_skip", 400),
}


@pytest.mark.parametrize("case", QUERIES)
async def test_a_query_of_any_kind_has_its_status(tmp_path: Path, origin: Origin, case: str) -> None:
    Writer(tmp_path).parts(1)
    query, status = QUERIES[case]
    reader, writer = await asyncio.open_connection(origin.client.server.host, origin.client.server.port)
    writer.write(f"GET {BASE}/720p/media.m3u8?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert int(head.split()[1]) == status
    # An error names the value, but never all of a long one.
    assert status == 200 or len(body) < 200


class Server:
    """The origin as `antlive web` runs it, in this process."""

    def __init__(self, port: int, app: web.Application) -> None:
        self.port = port
        self.sessions: LiveSessions = app[SESSIONS]
        self.hot = app[HOT]

    async def connect(self, request: str, receive_bytes: int | None = None) -> socket.socket:
        """A viewer that has sent a request and reads nothing."""
        connection = socket.socket()
        if receive_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", self.port))
        await loop.sock_sendall(connection, request.encode())
        return connection


@pytest.fixture
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    """Its loop keeps what is to be sent as it is, without a copy for each viewer."""
    policy: asyncio.AbstractEventLoopPolicy = uvloop.EventLoopPolicy()
    return policy


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    app = web.Application()
    setup_origin(app, tmp_path)
    options: dict[str, Any] = {"access_log": None, "handler_cancellation": True, "shutdown_timeout": 0.1}
    runner = HttpRunner(app, app[HOT].answer, app[HELD].ask, max_line_size=LINE_MAX_BYTES, **options)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    yield Server(runner.addresses[0][1], app)
    await runner.cleanup()


async def test_a_request_line_beyond_its_bound_is_400(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {BASE}/720p/media.m3u8?{'x' * LINE_MAX_BYTES} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert (await reader.read()).split()[1] == b"400"
    writer.close()


async def test_two_thousand_viewers_who_leave_at_once_leave_nothing_behind(tmp_path: Path, server: Server) -> None:
    """Each holds a playlist and counts; then all are gone, and the next viewer is answered."""
    writer = Writer(tmp_path)
    writer.parts(5)
    session = server.sessions.get(EDGE_ID, SESSION_ID)
    request = f"GET {BASE}/720p/media.m3u8?_HLS_msn=1&_HLS_part=1 HTTP/1.1\r\nHost: a\r\n\r\n"
    process = psutil.Process()
    before_bytes, before_fds, before_tasks = process.memory_info().rss, process.num_fds(), len(asyncio.all_tasks())
    viewers = [await server.connect(request) for _ in range(2000)]
    await until(lambda: session.held_requests == 2000)
    each_bytes = (process.memory_info().rss - before_bytes) / 2000
    assert each_bytes < 20_000, f"{each_bytes:.0f} bytes for each held request, both ends of its connection"
    for viewer in viewers:
        viewer.close()
    await until(lambda: session.held_requests == 0)
    await until(lambda: process.num_fds() <= before_fds + 5 and len(asyncio.all_tasks()) <= before_tasks + 5)
    writer.parts(1)
    reader, answer = await asyncio.open_connection("127.0.0.1", server.port)
    answer.write(request.encode())
    assert (await reader.readline()).split()[1] == b"200"
    answer.close()


@pytest.mark.parametrize("first_path", ["720p/init-0.mp4", ""], ids=["from memory", "by the route"])
async def test_viewers_who_do_not_read_share_what_they_were_sent(
    tmp_path: Path, server: Server, first_path: str
) -> None:
    """A hundred of them cost no hundred segments, whether they were answered ahead of the routes or by them.

    A connection's first request goes to the routes.
    """
    size_bytes = 3 << 20
    writer = Writer(tmp_path)
    writer.segments(1)
    (writer.directory / "720p/0.m4s").write_bytes(bytes(size_bytes))
    loop, request = asyncio.get_running_loop(), f"GET {BASE}/720p/0.m4s HTTP/1.1\r\nHost: a\r\n\r\n"
    first = f"GET {BASE}/{first_path} HTTP/1.1\r\nHost: a\r\n\r\n"
    async with AsyncExitStack() as stack:
        before_bytes = 0
        for _ in range(101):
            viewer = stack.enter_context(await server.connect(first if first_path else request, receive_bytes=4096))
            await loop.sock_recv(viewer, 4096)
            if first_path:
                await loop.sock_sendall(viewer, request.encode())
                await loop.sock_recv(viewer, 100)
            before_bytes = before_bytes or psutil.Process().memory_info().rss
        assert server.hot.answers == (101 if first_path else 0)
        assert psutil.Process().memory_info().rss - before_bytes < 10 * size_bytes


@pytest.mark.parametrize("first", [f"{BASE}/720p/init-0.mp4", f"{BASE}/720p/0.m4s"])
async def test_a_viewer_who_asks_again_and_again_and_does_not_read_gets_no_more(
    tmp_path: Path, server: Server, first: str
) -> None:
    size_bytes = 3 << 20
    writer = Writer(tmp_path)
    writer.segments(1)
    (writer.directory / "720p/0.m4s").write_bytes(bytes(size_bytes))
    loop, request = asyncio.get_running_loop(), f"GET {BASE}/720p/0.m4s HTTP/1.1\r\nHost: a\r\n\r\n"
    with await server.connect(f"GET {first} HTTP/1.1\r\nHost: a\r\n\r\n", receive_bytes=4096) as viewer:
        await loop.sock_recv(viewer, 4096)
        before_bytes = psutil.Process().memory_info().rss
        for _ in range(20):
            await loop.sock_sendall(viewer, request.encode())
        # The server has read all of it once another viewer, who came later, has its answer.
        reader, answer = await asyncio.open_connection("127.0.0.1", server.port)
        answer.write(f"GET {BASE}/720p/init-0.mp4 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"200"
        answer.close()
        assert server.hot.answers <= 4  # the system takes some that nobody reads
        assert psutil.Process().memory_info().rss - before_bytes < 3 * size_bytes


async def test_unknown_streams_cost_a_look_and_leave_nothing(tmp_path: Path, server: Server) -> None:
    Writer(tmp_path).parts(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for number in range(500):
        edge_id = f"lse_{number:026}"
        writer.write(f"GET /live/{edge_id}/master.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.split()[1] == b"404"
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
    writer.close()
    assert server.sessions._sessions == {}
