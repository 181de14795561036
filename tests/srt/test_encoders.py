"""Real encoders against the real listener: ffmpeg, and libsrt's own srt-live-transmit."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingest.admission import CLEAN
from tests.clips import FFMPEG
from tests.rtmp.fakes import KEY
from tests.srt.fakes import listening
from transcode.mpegts_demux import MpegTsDemuxer
from transcode.units import AudioPacket, VideoPacket

FRAMES = 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of H.264 with B-frames and AAC."""
    path = tmp_path_factory.mktemp("clip") / "clip.ts"
    sources = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-f", "lavfi", "-i", "sine=frequency=1000"]
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "30", "-pix_fmt", "yuv420p"]
    command = [FFMPEG, "-v", "error", *sources, "-t", "2", *video, "-c:a", "aac", "-f", "mpegts", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def ffmpeg(clip: Path, url: str, *options: str) -> tuple[str, ...]:
    return (
        FFMPEG,
        "-hide_banner",
        "-v",
        "verbose",
        "-re",
        *options,
        "-i",
        str(clip),
        "-c",
        "copy",
        "-f",
        "mpegts",
        url,
    )


async def finished(process: asyncio.subprocess.Process) -> tuple[int, str]:
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, errors.decode(errors="replace")


@pytest.mark.parametrize("stream_id", [f"#!::r=live/{KEY},m=publish", f"%23!::r=live/{KEY},m=publish", f"live/{KEY}"])
async def test_what_ffmpeg_pushes_arrives_whole(clip: Path, stream_id: str) -> None:
    async with listening() as server:
        async with running(*ffmpeg(clip, f"srt://127.0.0.1:{server.port}?streamid={stream_id}")) as process:
            code, errors = await finished(process)
            assert code == 0, errors
        sink = await server.admission.sink()
        assert await asyncio.wait_for(sink.closed, 10) == CLEAN
    units = list(MpegTsDemuxer().feed(bytes(sink.received)))
    # The last picture has no successor to end it, and what was still on its way at the goodbye is lost.
    pictures = [unit for unit in units if isinstance(unit, VideoPacket)]
    assert FRAMES - 10 <= len(pictures) <= FRAMES
    steps_ms = {round(later.dts_ms - earlier.dts_ms, 3) for earlier, later in itertools.pairwise(pictures)}
    assert steps_ms == {33.333}
    assert any(isinstance(unit, AudioPacket) for unit in units)


async def test_ffmpeg_hears_that_it_is_rejected_and_stops(clip: Path) -> None:
    async with (
        listening() as server,
        running(*ffmpeg(clip, f"srt://127.0.0.1:{server.port}?streamid=live/sk_wrong")) as process,
    ):
        code, errors = await finished(process)
        assert code != 0
        assert "REJECT" in errors and "Password" in errors, errors


@pytest.mark.parametrize("key_bytes", [16, 32])
async def test_ffmpeg_with_a_passphrase(clip: Path, key_bytes: int) -> None:
    async with listening(passphrase="correct horse battery") as server:
        secret = f"passphrase=correct horse battery&pbkeylen={key_bytes}"
        url = f"srt://127.0.0.1:{server.port}?streamid=live/{KEY}&{secret}"
        async with running(*ffmpeg(clip, url)) as process:
            code, errors = await finished(process)
            assert code == 0, errors
        sink = await server.admission.sink()
        assert any(isinstance(unit, VideoPacket) for unit in MpegTsDemuxer().feed(bytes(sink.received)))


async def test_a_killed_ffmpeg_is_noticed(clip: Path) -> None:
    async with listening() as server:
        command = ffmpeg(clip, f"srt://127.0.0.1:{server.port}?streamid=live/{KEY}", "-stream_loop", "-1")
        async with running(*command) as process:
            sink = await server.admission.sink()
            await sink.wait_for(1000)
            process.kill()
            assert await asyncio.wait_for(sink.closed, 15) == "peer_lost"


async def test_srt_live_transmit(clip: Path) -> None:
    executable = shutil.which("srt-live-transmit")
    assert executable is not None, "srt-live-transmit is not installed: run `make test`"
    media = await asyncio.to_thread(clip.read_bytes)
    async with listening() as server:
        url = f"srt://127.0.0.1:{server.port}?streamid=live/{KEY}"
        process = await asyncio.create_subprocess_exec(
            executable, "-q", "file://con", url, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            assert process.stdin is not None
            sink = await server.admission.sink()
            process.stdin.write(media)
            await sink.wait_for(50_000)
        finally:
            process.kill()
            await process.wait()
        received = bytes(sink.received)
    assert media.startswith(received[:50_000])
