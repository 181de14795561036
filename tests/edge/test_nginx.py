"""The nginx configurations of deploy/edge, run by a real nginx in front of a real origin."""

from __future__ import annotations

import asyncio
import socket
import ssl
import string
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from benchmarks.nginx import running_nginx
from packager.anywhere import SESSIONS
from packager.origin import setup_origin
from tests.certificates import write_certificate
from tests.packager.conftest import BASE, MASTER
from tests.packager.helpers import EDGE_ID, SESSION_ID, Writer, until

TEMPLATES = Path("deploy/edge")
PLAYERS = 1000


@dataclass
class Edge:
    """An edge, and how often the origin behind it was asked for what."""

    url: str
    client: aiohttp.ClientSession
    asked: Counter[str]
    writer: Writer
    app: web.Application

    async def get(self, path: str, **headers: str) -> tuple[int, aiohttp.ClientResponse, bytes]:
        async with self.client.get(self.url + path, headers={"Accept-Encoding": "identity", **headers}) as response:
            return response.status, response, await response.read()

    @property
    def held(self) -> int:
        return self.app[SESSIONS].get(EDGE_ID, SESSION_ID).held_requests


@pytest.fixture(params=["node", "edge"])
async def edge(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Edge]:
    async with AsyncExitStack() as stack:
        yield await _start(stack, request.param, tmp_path)


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Edge]:
    async with AsyncExitStack() as stack:
        yield await _start(stack, "edge", tmp_path)


async def _start(stack: AsyncExitStack, name: str, directory: Path) -> Edge:
    media_dir = directory / "media"
    writer = Writer(media_dir)
    writer.parts(6)
    asked: Counter[str] = Counter()
    app = web.Application()
    setup_origin(app, media_dir)

    async def count(request: web.Request, response: web.StreamResponse) -> None:
        asked[request.path] += 1

    app.on_response_prepare.append(count)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"127.0.0.1:{runner.addresses[0][1]}"
    write_certificate(directory / "cert.pem", directory / "key.pem", "edge.example")
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    values = {
        "ANTLIVE_ORIGIN": origin,
        "ANTLIVE_ORIGINS": f"server {origin};",
        "ANTLIVE_EDGE_LISTEN": listen,
        "ANTLIVE_EDGE_NAME": "edge.example",
        "ANTLIVE_TLS_CERT": str(directory / "cert.pem"),
        "ANTLIVE_TLS_KEY": str(directory / "key.pem"),
        "ANTLIVE_MEDIA_DIR": str(media_dir),
        "ANTLIVE_CACHE_DIR": str(directory / "cache"),
        "ANTLIVE_CACHE_SIZE": "100m",
    }
    # As envsubst does with these names: nginx's own variables stay.
    text = string.Template((TEMPLATES / f"{name}.conf.template").read_text()).safe_substitute(values)
    await stack.enter_async_context(running_nginx(directory / "nginx", text))
    context = ssl.create_default_context(cafile=str(directory / "cert.pem"))
    client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=context), auto_decompress=False)
    await stack.enter_async_context(client)
    return Edge(f"https://{listen}", client, asked, writer, app)


async def test_speaks_http2(edge: Edge, tmp_path: Path) -> None:
    command = ["curl", "-sS", "--http2", "--cacert", str(tmp_path / "cert.pem"), "-o", "/dev/null"]
    process = await asyncio.create_subprocess_exec(
        *command, "-w", "%{http_version} %{http_code}", edge.url + MASTER, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out == b"2 200"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (MASTER, "application/vnd.apple.mpegurl"),
        (f"{BASE}/720p/media.m3u8", "application/vnd.apple.mpegurl"),
        (f"{BASE}/720p/init-0.mp4", "video/mp4"),
        (f"{BASE}/720p/0.m4s", "video/mp4"),
        (f"{BASE}/audio/1.0.m4s", "audio/mp4"),
    ],
)
async def test_serves_what_the_origin_serves(edge: Edge, path: str, kind: str) -> None:
    status, response, body = await edge.get(path)
    assert status == 200
    assert response.headers["Content-Type"] == kind
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "max-age" in response.headers["Cache-Control"]
    assert (
        body.startswith(b"#EXTM3U")
        or body == (edge.writer.directory.parent.parent / path.removeprefix("/live/")).read_bytes()
    )


async def test_a_blocking_request_is_held_and_then_answered(edge: Edge) -> None:
    asking = asyncio.create_task(edge.get(f"{BASE}/720p/media.m3u8?_HLS_msn=1&_HLS_part=2"))
    await until(lambda: edge.held == 1)
    assert not asking.done()
    edge.writer.parts()
    status, _, body = await asking
    assert status == 200
    assert b'URI="1.2.m4s"' in body


async def test_a_hinted_part_is_held_and_then_delivered(edge: Edge) -> None:
    await edge.get(f"{BASE}/720p/media.m3u8")
    asking = asyncio.create_task(edge.get(f"{BASE}/720p/1.2.m4s"))
    await until(lambda: edge.held == 1)
    edge.writer.parts()
    assert (await asking)[::2] == (200, b"msn 1 part 2;")


async def test_refusals_pass_and_are_not_kept(edge: Edge) -> None:
    assert (await edge.get(f"{BASE}/720p/media.m3u8?_HLS_part=1"))[0] == 400
    assert (await edge.get(f"{BASE}/720p/media.m3u8?_HLS_msn=99"))[0] == 400
    status, response, _ = await edge.get(f"{BASE}/720p/99.m4s")
    assert status == 404
    assert response.headers["Cache-Control"] == "public, max-age=1"


@pytest.mark.parametrize(
    "path", ["/live/../etc/passwd", f"{BASE}/720p/.1.2.m4s", f"/live/{EDGE_ID}/current", f"{BASE}/journal.jsonl"]
)
async def test_nothing_else_of_the_media_directory_is_served(edge: Edge, path: str) -> None:
    assert (await edge.get(path))[0] == 404


@pytest.mark.parametrize(
    ("path", "is_asked"), [("/vod/rec_x/download.mp4", True), ("/v1/live-streams", False), ("/metrics", False)]
)
async def test_recordings_pass_an_edge_and_what_is_not_for_viewers_does_not(
    cache: Edge, path: str, is_asked: bool
) -> None:
    assert (await cache.get(path))[0] == 404  # this origin has no recordings
    assert bool(cache.asked[path]) is is_asked


@pytest.mark.parametrize("spelling", ["/live//{}", "/live/x/../{}", "/live/{}?page=7", "/live/{}%3Fpage=7"])
async def test_odd_spellings_of_a_path_spoil_nothing_for_others(cache: Edge, spelling: str) -> None:
    path = f"{BASE}/720p/0.m4s"
    odd = spelling.format(path.removeprefix("/live/"))
    # As it is written: a client library would tidy it up.
    async with cache.client.get(URL(cache.url + odd, encoded=True)) as response:
        await response.read()
    assert (await cache.get(path))[0] == 200


async def test_browsers_may_ask_first(edge: Edge) -> None:
    url = f"{edge.url}{BASE}/720p/0.m4s"
    async with edge.client.options(url, headers={"Origin": "https://a.example"}) as response:
        assert response.status == 204
        assert "GET" in response.headers["Access-Control-Allow-Methods"]


async def test_ranges(edge: Edge) -> None:
    status, response, body = await edge.get(f"{BASE}/720p/0.m4s", Range="bytes=0-4")
    assert (status, body) == (206, b"msn 0")
    assert response.headers["Content-Range"].startswith("bytes 0-4/")


async def test_a_thousand_players_cost_the_origin_what_one_costs(cache: Edge) -> None:
    await cache.get(MASTER)
    cache.asked.clear()
    playlist, part = f"{BASE}/720p/media.m3u8", f"{BASE}/720p/1.2.m4s"
    # The order of the directives, and what else a page may add, makes no other question of it.
    queries = ("_HLS_msn=1&_HLS_part=2", "_HLS_part=2&_HLS_msn=1&page=7")
    asking = [asyncio.create_task(cache.get(f"{playlist}?{queries[n % 2]}")) for n in range(PLAYERS)]
    await until(lambda: cache.held == 1)
    cache.writer.parts()
    answers = await asyncio.gather(*asking)
    assert {status for status, _, _ in answers} == {200}
    assert len({body for _, _, body in answers}) == 1
    parts = await asyncio.gather(*(cache.get(part) for _ in range(PLAYERS)))
    assert {body for _, _, body in parts} == {b"msn 1 part 2;"}
    assert cache.asked == {playlist: 1, part: 1}


async def test_gzipped_and_plain_playlists_are_kept_apart(cache: Edge) -> None:
    path = f"{BASE}/720p/media.m3u8?_HLS_msn=0"
    for encoding, kept in (("gzip, br", "gzip"), ("identity", None), ("deflate, gzip;q=0.5", "gzip"), ("br", None)):
        _, response, _ = await cache.get(path, **{"Accept-Encoding": encoding})
        assert response.headers.get("Content-Encoding") == kept
    assert cache.asked[f"{BASE}/720p/media.m3u8"] == 2
