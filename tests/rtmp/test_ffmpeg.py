"""A real encoder against the real server."""

from __future__ import annotations

import asyncio
import io
import subprocess
from pathlib import Path
from typing import Literal

import av
import imageio_ffmpeg
import pytest
from structlog.testing import capture_logs

from ingest.rtmp import flv
from tests.rtmp.fakes import KEY, listening

FRAMES = 60
FRAME_RATE_HZ = 30


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of H.264 with B-frames and AAC."""
    path = tmp_path_factory.mktemp("clip") / "clip.flv"
    duration_s = FRAMES / FRAME_RATE_HZ
    subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error",
            "-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={FRAME_RATE_HZ}:duration={duration_s}",
            "-f", "lavfi", "-i", f"sine=frequency=1000:duration={duration_s}",
            "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", str(FRAME_RATE_HZ), "-pix_fmt", "yuv420p",
            "-c:a", "aac", str(path),
        ],
        check=True,
        timeout=60,
    )  # fmt: skip
    return path


async def push(clip: Path, url: str, *extra: str) -> tuple[int, str]:
    """Run ffmpeg to its end: exit code and what it says."""
    arguments = ["-hide_banner", "-loglevel", "info", *extra, "-i", str(clip), "-c", "copy", "-f", "flv", url]
    process = await asyncio.create_subprocess_exec(
        imageio_ffmpeg.get_ffmpeg_exe(),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, errors = await asyncio.wait_for(process.communicate(), 30)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, errors.decode(errors="replace")


async def test_what_ffmpeg_pushes_arrives_whole(clip: Path) -> None:
    async with listening() as server:
        code, errors = await push(clip, f"rtmp://127.0.0.1:{server.port}/live/{KEY}?from=test")
        assert code == 0, errors
        sink = await server.admission.sink()
        assert await asyncio.wait_for(sink.closed, 10) == "clean"
        assert "Lavf" in server.admission.requests.get_nowait().encoder

    received = bytes(sink.received)
    assert received.startswith(flv.FILE_HEADER)
    with av.open(io.BytesIO(received), "r", format="flv") as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.audio[0].codec_context.name == "aac"
        assert sum(1 for _ in container.decode(video=0)) == FRAMES

    def packets(data: bytes, kind: Literal["video", "audio"]) -> list[tuple[int | None, int | None, bytes]]:
        with av.open(io.BytesIO(data), "r", format="flv") as container:
            stream = container.streams.best(kind)
            assert stream is not None
            return [(p.pts, p.dts, bytes(p)) for p in container.demux(stream) if p.size]

    original = await asyncio.to_thread(clip.read_bytes)
    assert packets(received, "video") == packets(original, "video")
    assert packets(received, "audio") == packets(original, "audio")


async def test_ffmpeg_with_a_wrong_key_fails_at_once(clip: Path) -> None:
    async with listening(refusal_grace_s=0.5) as server:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        with capture_logs() as logs:
            code, errors = await push(clip, f"rtmp://127.0.0.1:{server.port}/live/sk_wrong", "-re")
        assert code != 0
        assert "no stream has this key" in errors
        assert loop.time() - started_s < 5
        assert [line["reason"] for line in logs] == ["wrong_key"]
        assert "sk_wrong" not in str(logs)


async def test_a_second_ffmpeg_is_refused_while_the_first_goes_on(clip: Path) -> None:
    async with listening() as server:
        url = f"rtmp://127.0.0.1:{server.port}/live/{KEY}"
        first = asyncio.create_task(push(clip, url, "-re"))
        await server.admission.sink()
        code, errors = await push(clip, url)
        assert code != 0
        assert "the stream has a publisher already" in errors
        code, errors = await first
        assert code == 0, errors


async def test_a_killed_ffmpeg_is_noticed(clip: Path) -> None:
    async with listening() as server:
        running = asyncio.create_task(
            push(clip, f"rtmp://127.0.0.1:{server.port}/live/{KEY}", "-re", "-stream_loop", "-1")
        )
        sink = await server.admission.sink()
        await sink.wait_for(1000)
        running.cancel()
        assert await asyncio.wait_for(sink.closed, 10) in ("peer_closed", "connection_broken")
        with pytest.raises(asyncio.CancelledError):
            await running
