"""Low-latency viewers of one stream: how late held answers are, and what a request that is held costs.

The origin (`antlive origin`, with a real Redis) has one core; the players (`benchmarks/player_load.py`) and the writer
of the session have the other one. The session is written as a worker writes it: files of the size of a `standard`
ladder's, then the journal, all renditions at the same moment, which is the worst that can happen. An answer is late
from the moment before its part was written until the player has read it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.cpu import cpu_seconds_of
from benchmarks.report import Figure
from packager.journal import FILE_NAME
from packager.publication import Part, Publication
from packager.samples import Track
from tests.packager.helpers import EDGE_ID, SESSION_ID, audio_track, new_publication, video_track
from tests.redis_server import redis_server

BASE = f"/live/{EDGE_ID}/{SESSION_ID}"
PART_S = 1 / 3
PARTS = 6
PART_BYTES = {"720p": 116_000, "480p": 58_000, "360p": 33_000, "audio": 5_500}
"""Parts of a third of a second at 2.8, 1.4, 0.8 Mbit/s and 128 kbit/s."""
VIDEO = ("720p", "480p", "360p")
VIEWERS = 500
HELD = (500, 2000)
ASKS_FOR = ("listed", "hinted")
"""A player asks for parts that a playlist lists, or, before they are there, for those that it hints at."""

_LATE_MS = 50.0
_HELD_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class _Played:
    late_ms: list[float]
    """Sorted."""
    origin_cpu: float
    load_cpu: float

    @property
    def note(self) -> str:
        """The rest of what was measured."""
        return (
            f"p50 {self.quantile(0.5):.1f}, p95 {self.quantile(0.95):.1f}, most {self.late_ms[-1]:.1f} ms of "
            f"{len(self.late_ms):,} answers; players {self.load_cpu * 100:.0f} % of their core"
        )

    def quantile(self, share: float) -> float:
        return self.late_ms[min(int(share * len(self.late_ms)), len(self.late_ms) - 1)]


async def run(directory: Path, quick: bool) -> list[Figure]:
    """The players first, then requests that are only held, each with an origin of its own."""
    psutil.Process().cpu_affinity([(os.cpu_count() or 1) - 1])
    try:
        played = await _played(directory / "played", VIEWERS, 6 if quick else 30, "listed")
        hinted = await _played(directory / "hinted", VIEWERS, 6 if quick else 30, "hinted")
        each_bytes = {asks_for: await _held(directory / f"held-{asks_for}", asks_for) for asks_for in ASKS_FOR}
    finally:
        psutil.Process().cpu_affinity([])
    what = f"{VIEWERS} viewers (video and audio)"
    return [
        Figure(
            name=f"{what}: lateness, p99",
            value=played.quantile(0.99), unit="ms", at_most=_LATE_MS, note=played.note,
        ),
        Figure(name="the same: CPU of the origin", value=played.origin_cpu * 100, unit="%"),
        Figure(
            name=f"{what} that ask for hinted parts: lateness of these, p99",
            value=hinted.quantile(0.99), unit="ms", at_most=_LATE_MS, note=hinted.note,
        ),
        Figure(name="the same: CPU of the origin", value=hinted.origin_cpu * 100, unit="%"),
        *(
            Figure(
                name=f"memory of a held request for {held}",
                value=size / 1000, unit="kB", at_most=_HELD_BYTES / 1000,
            )
            for held, size in (("a playlist", each_bytes["listed"]), ("a hinted part", each_bytes["hinted"]))
        ),
    ]  # fmt: skip


async def _played(directory: Path, viewers: int, seconds: float, asks_for: str) -> _Played:
    writer = _Writer(directory / "media")
    async with _origin(directory) as (port, origin):
        writing = asyncio.create_task(writer.write())
        file = directory / "notes.json"
        async with _load(port, viewers, seconds, file, asks_for) as load:
            before_s, begun_s = cpu_seconds_of([origin.pid]), time.monotonic()
            await load.wait()
            origin_cpu = (cpu_seconds_of([origin.pid]) - before_s) / (time.monotonic() - begun_s)
        writing.cancel()
        await asyncio.wait([writing])
    if load.returncode != 0:
        raise RuntimeError("the players failed")
    late_ms = []
    noted = json.loads(file.read_text())
    for name, msn, part, asked_s, came_s in noted["answers"]:
        published_s = writer.published_s[name, msn, part]
        if asked_s < published_s:  # it was held
            late_ms.append((came_s - published_s) * 1000)
    return _Played(sorted(late_ms), origin_cpu, noted["cpu"])


async def _held(directory: Path, asks_for: str) -> float:
    """Bytes of the origin's memory for each held request, with its connection: what more of them add to some."""
    writer = _Writer(directory / "media")
    sizes_bytes = []
    async with _origin(directory) as (port, origin):
        resident = psutil.Process(origin.pid)
        keeping = asyncio.create_task(writer.keep())
        async with _load(port, HELD[0], 0, directory / "none", asks_for):
            sizes_bytes.append(resident.memory_info().rss)
            async with _load(port, HELD[1] - HELD[0], 0, directory / "none", asks_for):
                sizes_bytes.append(resident.memory_info().rss)
        keeping.cancel()
        await asyncio.wait([keeping])
    return (sizes_bytes[1] - sizes_bytes[0]) / (HELD[1] - HELD[0])


class _Writer:
    """A live session with a full window, and what follows."""

    def __init__(self, media_dir: Path) -> None:
        self.published_s: dict[tuple[str, int, int], float] = {}
        """Just before a part was written, on the monotonic clock; by rendition, media sequence number and part."""
        self._journal = media_dir / EDGE_ID / SESSION_ID / FILE_NAME
        self._publication: Publication = new_publication(media_dir, window_s=60, part_target_s=0.334)
        tracks: list[Track] = [*(video_track(name) for name in VIDEO), audio_track()]
        for track in tracks:
            self._publication.add_rendition(track)
        self._publication.make_current()
        self._parts = {
            name: Part(os.urandom(size_bytes), PART_S, independent=True) for name, size_bytes in PART_BYTES.items()
        }
        self._msn = 0
        while self._msn < 40:
            for part in range(PARTS):
                self._publish(part)
            self._msn += 1

    async def write(self) -> None:
        """Publish a part of every rendition, three times a second."""
        next_s = time.monotonic()
        while True:
            for part in range(PARTS):
                next_s += PART_S
                await asyncio.sleep(next_s - time.monotonic())
                self._publish(part)
            self._msn += 1

    async def keep(self) -> None:
        """Publish nothing, but look as if something were about to come."""
        while True:
            os.utime(self._journal)
            await asyncio.sleep(0.5)

    def _publish(self, part: int) -> None:
        for name, content in self._parts.items():
            self.published_s[name, self._msn, part] = time.monotonic()
            if part == 0:
                self._publication.open_segment(name, self._msn, self._msn * PARTS * PART_S, False)
            if part < PARTS - 1:
                self._publication.write_part(name, content)
            else:
                self._publication.finish_segment(name, [content] * PARTS)


@asynccontextmanager
async def _origin(directory: Path) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """The origin alone, on the first core; its port and process."""
    reading, writing = os.pipe()
    with redis_server() as redis, os.fdopen(reading) as ready:
        settings = {
            "ANTLIVE_HTTP_PORT": "0",
            "ANTLIVE_BIND": "127.0.0.1",
            "ANTLIVE_DATA_DIR": str(directory / "data"),
            "ANTLIVE_MEDIA_DIR": str(directory / "media"),
            "ANTLIVE_REDIS_URL": redis.url,
            "ANTLIVE_CONFORMANCE_SHARE": "0",  # what it serves is no media
        }
        command = ["taskset", "-c", "0", sys.executable, "-m", "antlive", "origin", "--ready-fd", str(writing)]
        process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **settings}, pass_fds=[writing])
        os.close(writing)
        try:
            yield json.loads(await asyncio.to_thread(ready.readline))["http_port"], process
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def _load(
    port: int, viewers: int, seconds: float, file: Path, asks_for: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """So many players, all at the edge. Raises `RuntimeError` when they do not come there."""
    arguments = ["-m", "benchmarks.player_load", str(port), str(viewers), str(seconds), str(file), asks_for]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        async with asyncio.timeout(60):
            if await process.stdout.readline() != b"ready\n":
                raise RuntimeError("the players did not come to the edge")
        yield process
    finally:
        process.stdin.close()
        await process.wait()
