"""What recording costs a session, and how fast a recording of two hours is closed, listed and downloaded."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
from aiohttp import web

from benchmarks.report import Figure
from benchmarks.service import cpu_seconds
from benchmarks.sources import CLIPS, source
from packager.journal import FILE_NAME, JournalWriter
from packager.recordings.recording import JOURNALS, read_recording
from packager.recordings.records import InitRecord, StoredSegment, encode_line
from packager.recordings.vod import setup_vod
from packager.records import EndRecord, SessionRecord
from recorder.recorder import Recorder
from recorder.session import RecordedSession
from recorder.storing import Disk
from tests.e2e.inside import role
from tests.e2e.node import Node, pushing, running_node
from tests.s3_server import s3_server

_MIB = 1 << 20
_HOURS = 2
_SEGMENT_S = 2.0
_DOWNLOAD_SEGMENTS = 900
LONG_ID = "rec_01k0000000000000000000000a"
SHORT_ID = "rec_01k0000000000000000000000b"


async def run(directory: Path, quick: bool) -> list[Figure]:
    """CPU and memory beside a real `standard` session; then what it has recorded, repeated to two hours."""
    clip, seconds = source(directory, CLIPS[0], 30), 15 if quick else 30
    with s3_server(directory / "s3") as s3:
        async with running_node(directory / "node-s3", **s3.environment) as node:
            uploading = await _beside_a_session(node, clip, seconds, "recorder with an S3 store")
    async with running_node(directory / "node") as node:
        figures = await _beside_a_session(node, clip, seconds, "recorder")
        recorded = next((node.data_dir / "recordings").iterdir())
        long = _repeated(recorded, directory / "recordings" / LONG_ID, round(_HOURS * 3600 / _SEGMENT_S), link=True)
        short = _repeated(recorded, directory / "recordings" / SHORT_ID, _DOWNLOAD_SEGMENTS, link=False)
    return figures + uploading + await _afterwards(long, short)


async def _beside_a_session(node: Node, clip: Path, seconds: int, what: str) -> list[Figure]:
    recorder = role(node, "recorder")
    idle_rss = recorder.memory_info().rss
    stream = await node.create(quality="standard", recording=True)
    async with pushing(clip, stream["ingest"]["rtmpFullUrl"]):
        await node.wait_for_state(stream["streamId"], "live")
        await asyncio.sleep(5)
        recorder_s, all_s = _spent_s(recorder), cpu_seconds(node)
        await asyncio.sleep(seconds)
        recorder_s, all_s = _spent_s(recorder) - recorder_s, cpu_seconds(node) - all_s
        grown = recorder.memory_info().rss - idle_rss
    return [
        Figure(
            name=f"{what}: CPU / all other CPU of a standard session",
            value=recorder_s / (all_s - recorder_s) * 100,
            unit="%",
            at_most=2,
            note=f"{recorder_s / seconds * 1000:.1f} ms a second",
        ),
        Figure(
            name=f"{what}: memory that a session adds",
            value=grown / _MIB,
            unit="MiB",
            at_most=20,
            note=f"the process has {idle_rss / _MIB:.0f} MiB, once per node",
        ),
    ]


async def _afterwards(long: Path, short: Path) -> list[Figure]:
    disk = Disk(long.parent, 0)
    recorder = Recorder(long.parent / "no-media", disk, "bench", _Silent())
    closed_s = _close(long, disk)
    started_s = time.perf_counter()
    summary = await recorder.close_left(LONG_ID)
    left_s = time.perf_counter() - started_s
    await recorder.close_left(SHORT_ID)
    assert summary is not None and abs(summary.duration_s - _HOURS * 3600) < 60
    async with _served(long.parent) as base, aiohttp.ClientSession() as client:
        cold_s, _ = await _get(client, f"{base}/{LONG_ID}/720p/media.m3u8")
        warm_s, _ = await _get(client, f"{base}/{LONG_ID}/720p/media.m3u8")
        header_s, _ = await _get(client, f"{base}/{LONG_ID}/download.mp4", "bytes=0-999")
        for path in short.glob("*/*"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        disk_s, size = await _get(client, f"{base}/{SHORT_ID}/download.mp4")
        cached_s, _ = await _get(client, f"{base}/{SHORT_ID}/download.mp4")
    hours = f"{_HOURS} h"
    return [
        Figure(
            name=f"closing a recording of {hours}",
            value=closed_s,
            unit="s",
            at_most=2,
            note=f"{left_s:.2f} s where all of it has to be looked at again, after a crash",
        ),
        Figure(
            name=f"VOD playlist of {hours}: first time",
            value=cold_s * 1000,
            unit="ms",
            at_most=50,
            note=f"then {warm_s * 1000:.1f} ms",
        ),
        Figure(
            name=f"MP4 of {hours}: its first bytes", value=header_s, unit="s", note="all headers of its fragments read"
        ),
        Figure(
            name="MP4 download, not in the page cache",
            value=size / disk_s / 1e6,
            unit="MB/s",
            at_least=200,
            note=f"{size / 1e6:.0f} MB; {size / cached_s / 1e6:.0f} MB/s from the cache; one process with its client",
        ),
    ]


def _close(directory: Path, disk: Disk) -> float:
    """Seconds from the end of a session that was recorded here all the time until its recording is closed."""
    edge_id = "lse_" + "0" * 26
    session_dir = directory.parent.parent / "media" / edge_id / directory.name.replace("rec_", "se_")
    session_dir.mkdir(parents=True)
    record = SessionRecord(
        edge_id=edge_id, session_id=session_dir.name, low_latency=True, part_target_s=0.5, target_duration_s=2,
        window_s=60.0, recording=True,
    )  # fmt: skip
    journal = JournalWriter(session_dir / FILE_NAME)
    journal.append(record)
    session = RecordedSession(session_dir, disk, "bench")
    session.step()
    started_s = time.perf_counter()
    journal.append(EndRecord())
    session.step()
    summary = session.finish()
    assert session.has_ended and summary.has_media
    return time.perf_counter() - started_s


class _Silent:
    def tell(self, session: RecordedSession, summary: object, *, state: str, reason: str = "") -> None:
        """Nobody listens."""


def _repeated(recorded: Path, directory: Path, count: int, *, link: bool) -> Path:
    """The segments of a recording again and again, as one of `count` segments in each rendition."""
    recording = read_recording(recorded)
    assert recording.head is not None
    lines: list[bytes] = [encode_line(recording.head)]
    for name, rendition in recording.renditions.items():
        target = directory / name
        target.mkdir(parents=True)
        inits: list[InitRecord] = list(rendition.inits.values())
        lines += [encode_line(rendition.info), *map(encode_line, inits)]
        for init in inits:
            shutil.copy(recorded / name / init.file, target)
        segments = [segment for segment in rendition.segments if not segment.is_missing][1:-1]
        first = segments[0]
        for msn in range(count):
            segment: StoredSegment = segments[msn % len(segments)]
            file = recorded / name / segment.file
            if link:
                os.link(file, target / f"{msn}.m4s")
            else:
                shutil.copy(file, target / f"{msn}.m4s")
            start_s = msn * _SEGMENT_S
            date_ms = first.program_date_time_ms + round(start_s * 1000)
            lines.append(
                encode_line(segment._replace(msn=msn, start_s=start_s, program_date_time_ms=date_ms))
            )  # fmt: skip
    (directory / JOURNALS.replace("*", "bench")).write_bytes(b"".join(lines))
    if not link:
        os.sync()  # only what is on disk can be let go from memory
    return directory


@asynccontextmanager
async def _served(recordings_dir: Path) -> AsyncIterator[str]:
    app = web.Application()
    setup_vod(app, recordings_dir)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/vod"
    finally:
        await runner.cleanup()


async def _get(client: aiohttp.ClientSession, url: str, wanted: str = "") -> tuple[float, int]:
    """Seconds and bytes of one answer."""
    started_s, size = time.perf_counter(), 0
    async with client.get(url, headers={"Range": wanted} if wanted else {}) as response:
        assert response.status in (200, 206), response.status
        async for data in response.content.iter_any():
            size += len(data)
    return time.perf_counter() - started_s, size


def _spent_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
