"""The origin alone: media parts beside nginx serving the same files, playlists beside a bare aiohttp handler.

The server that is measured has one core, the load (wrk) the other one; a ratio is that of requests by the clock.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import uvloop
from aiohttp import ClientSession, web

from antlive.http_runner import HttpRunner
from benchmarks.nginx import running_nginx
from benchmarks.report import Figure
from packager.media_files import HOT
from packager.origin import setup_origin
from packager.publication import Part
from packager.samples import Track
from tests.packager.helpers import EDGE_ID, SESSION_ID, audio_track, new_publication, video_track

CONNECTIONS = 16
PART_S = 1 / 3
PARTS = 6
SEGMENTS = 40
PART_BYTES = {"720p": 116_000, "audio": 5_500}
"""A part of a third of a second at 2.8 Mbit/s, and one of audio at 128 kbit/s."""
_ROUNDS = 3


async def run(directory: Path, quick: bool) -> list[Figure]:
    """Each pair in turns, and the median of the ratios."""
    media_dir = directory / "media"
    msn = publish(media_dir)
    nginx_port = free_port()
    location = f"location /live/ {{ alias {media_dir}/; sendfile on; tcp_nopush on; }}"
    http = f"server {{ listen 127.0.0.1:{nginx_port}; {location} }}"
    seconds = 1 if quick else 3
    figures: list[Figure] = []
    async with running_nginx(directory / "nginx", http) as nginx, origin_process(media_dir) as (port, origin):
        for process in [psutil.Process(origin), *psutil.Process(nginx).children()]:
            process.cpu_affinity([0])
        ours, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{nginx_port}"
        base = f"/live/{EDGE_ID}/{SESSION_ID}"
        for name, size_bytes in PART_BYTES.items():
            path = f"{base}/{name}/{msn}.0.m4s"
            what = f"part of {size_bytes / 1000:g} kB: ours / nginx"
            figures.append(await _compare(what, ours + path, peer + path, seconds))
        path = f"{base}/720p/media.m3u8"
        async with ClientSession() as http_client, http_client.get(ours + path) as answer:
            size_bytes = len(await answer.read())
        what = "playlist: ours / bare handler"
        figures.append(await _compare(what, ours + path, f"{ours}/bare?{size_bytes}", seconds))
    return figures


async def _compare(what: str, ours: str, peer: str, seconds: int) -> Figure:
    pairs = [(await _per_s(ours, seconds), await _per_s(peer, seconds)) for _ in range(_ROUNDS)]
    ratio = statistics.median(mine / other for mine, other in pairs)
    mine, other = (statistics.median(values) for values in zip(*pairs, strict=True))
    return Figure(name=what, value=ratio, unit="", at_least=0.5, note=f"{mine:,.0f}/s against {other:,.0f}/s")


async def _per_s(url: str, seconds: int) -> float:
    """Requests per second. Raises `RuntimeError` when one is not answered with 200."""
    load = ["taskset", "-c", str((os.cpu_count() or 1) - 1), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    process = await asyncio.create_subprocess_exec(*load, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    found = re.search(rb"Requests/sec: *([0-9.]+)", out)
    if found is None or b"Non-2xx" in out:
        raise RuntimeError(out.decode())
    return float(found[1])


def publish(media_dir: Path) -> int:
    """A live session with a full window. The number of its newest complete segment."""
    publication = new_publication(media_dir, window_s=60, part_target_s=0.334)
    tracks: dict[str, Track] = {"720p": video_track("720p"), "audio": audio_track()}
    for track in tracks.values():
        publication.add_rendition(track)
    publication.make_current()
    for msn in range(SEGMENTS):
        for name in tracks:
            part = Part(bytes(PART_BYTES[name]), PART_S, independent=True)
            publication.open_segment(name, msn, msn * PARTS * PART_S, False)
            for _ in range(PARTS - 1):
                publication.write_part(name, part)
            publication.finish_segment(name, [part] * PARTS)
    return SEGMENTS - 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@asynccontextmanager
async def origin_process(media_dir: Path) -> AsyncIterator[tuple[int, int]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.origin", str(media_dir), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline()), process.pid
    finally:
        process.terminate()
        await process.wait()


async def _serve(media_dir: Path) -> None:
    app = web.Application()
    app.router.add_get("/bare", _bare)
    setup_origin(app, media_dir)
    runner = HttpRunner(app, app[HOT].answer, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def _bare(request: web.Request) -> web.Response:
    return web.Response(body=bytes(int(request.query_string)))


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
