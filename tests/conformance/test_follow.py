"""The checker over HTTP: our origin while it publishes, one that lies, and ffmpeg's HLS behind a plain file server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from packager.conformance.follow import check_origin
from packager.conformance.http import CheckFailed
from packager.origin import setup_origin
from tests.clips import FFMPEG
from tests.conformance.playlists import MASTER, changed, good
from tests.packager.conftest import MASTER as OURS
from tests.packager.helpers import Writer

Serve = Callable[[web.Application], Awaitable[str]]
RULES = {"playlists-are-readable", "what-is-listed-is-there"}


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers = []

    async def start(app: web.Application) -> str:
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


async def test_a_liar_is_found_out(serve: Serve) -> None:
    """It answers every blocking request at once, from a playlist that never goes on, and has no media."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("master.m3u8"):
            return web.Response(text=MASTER)
        if request.path.endswith("w/media.m3u8"):
            return web.Response(text=changed(good(), "#EXTM3U", "#EXTM3U8"))
        if request.path.endswith(".m3u8"):
            return web.Response(text=good())
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    url = await serve(app)
    findings = await check_origin(f"{url}/master.m3u8", 1.2)
    assert findings.failed
    assert set(findings.first) >= RULES
    assert "a-blocking-request-is-answered-when-the-playlist-has-it" in findings.first
    assert "a-part-without-a-segment-is-refused" in findings.first
    report = findings.report()
    assert "MUST   6.2.5.2" in report and "SHOULD 6.2.1" in report


async def test_ours_breaks_no_rule_of_playlists_and_answers(serve: Serve, tmp_path: Path) -> None:
    """Its media here are no media, which is found, too."""
    app = web.Application()
    setup_origin(app, tmp_path)
    url = await serve(app)
    writer = Writer(tmp_path, window_s=12)
    writer.segments(8)

    async def publish() -> None:
        while True:
            await asyncio.sleep(0.05)
            writer.parts(1)

    publishing = asyncio.create_task(publish())
    findings = await check_origin(url + OURS, 2)
    publishing.cancel()
    assert findings.looked_at["playlists"] > 20 and findings.looked_at["hinted parts"] > 10
    assert set(findings.first) == {"media-are-fragmented-mp4"}


async def test_an_ended_playlist_is_checked_and_left(serve: Serve, tmp_path: Path) -> None:
    app = web.Application()
    setup_origin(app, tmp_path)
    url = await serve(app)
    writer = Writer(tmp_path)
    writer.segments(3)
    writer.publication.end()
    async with asyncio.timeout(10):
        findings = await check_origin(url + OURS, 3600)
    assert set(findings.first) == {"media-are-fragmented-mp4"}


async def test_where_nothing_is_the_check_fails(serve: Serve) -> None:
    url = await serve(web.Application())
    with pytest.raises(CheckFailed, match="status 404"):
        await check_origin(f"{url}/master.m3u8", 1)
    with pytest.raises(CheckFailed, match="ClientConnectorError"):
        await check_origin("http://127.0.0.1:1/master.m3u8", 1)


async def test_ffmpegs_hls_behind_a_plain_file_server(serve: Serve, tmp_path: Path) -> None:
    """A foreign origin: its live playlist is read, its media add up, and what it lacks is named. By the command."""
    command = ["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=30", "-f", "lavfi", "-i", "sine"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "15", "-c:a", "aac"]
    command += ["-f", "hls", "-hls_time", "1", "-hls_list_size", "4", "-hls_segment_type", "fmp4"]
    command += ["-hls_flags", "delete_segments+program_date_time", str(tmp_path / "media.m3u8")]
    encoder = await asyncio.create_subprocess_exec(FFMPEG, *command, stdin=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(20):
            while not (tmp_path / "media.m3u8").exists():  # noqa: ASYNC110 (another process writes it)
                await asyncio.sleep(0.05)
        app = web.Application()
        app.router.add_static("/", tmp_path)
        url = await serve(app)
        check = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "antlive", "check", f"{url}/media.m3u8", "--seconds", "6",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, error = await check.communicate()
    finally:
        encoder.kill()
        await encoder.wait()
    report = out.decode()
    assert error == b"" and check.returncode == 1, report
    broken = {line.split()[2] for line in report.splitlines() if line.startswith(("MUST", "SHOULD", "PLAYER"))}
    assert {"any-page-may-read-it", "playlists-are-gzipped"} <= broken, report
    must = {line.split()[2] for line in report.splitlines() if line.startswith("MUST")}
    assert must <= {"segments-round-to-at-most-the-target-duration", "target-duration-never-changes"}, report
    assert " segments" in report and "init segments" in report
