"""SRT ingest beside `srt-live-transmit`: 10 streams of 6 Mbit/s from the same load, CPU of the receiving processes.

The peer takes one caller per process, so there are ten of it, each writing to /dev/null.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import mean

from benchmarks.cpu import cpu_ms_per_stream_second
from benchmarks.ingest_process import ingest_process
from benchmarks.report import Figure, ratio
from benchmarks.sources import CLIPS, source
from benchmarks.srt_load import pushing_srt_to
from tests.clips import FFMPEG

STREAMS = 10
RATE_BPS = 6_000_000
_SETTLE_S = 2.0
Receiver = Callable[[], AbstractAsyncContextManager[tuple[list[int], list[str]]]]


async def run(directory: Path, quick: bool) -> list[Figure]:
    """`srt-live-transmit`, payloads, hand-off, in turns."""
    seconds, turns = (5, 1) if quick else (10, 2)
    length_s = seconds + _SETTLE_S + 3
    ts = await asyncio.to_thread(_transport_stream, directory, length_s)
    receivers: dict[str, Receiver] = {
        "peer": _srt_live_transmit,
        "payloads": lambda: _ours("payloads"),
        "handoff": lambda: _ours("handoff"),
    }
    cpu_ms: dict[str, list[float]] = {name: [] for name in receivers}
    for _ in range(turns):
        for name, receiver in receivers.items():
            async with receiver() as (pids, urls), pushing_srt_to(urls, ts, length_s):
                await asyncio.sleep(_SETTLE_S)
                cpu_ms[name].append(await cpu_ms_per_stream_second(pids, seconds, STREAMS))
    rate_mbps = ts.stat().st_size * 8 / length_s / 1e6
    peer = f"{STREAMS} streams of {rate_mbps:.1f} Mbit/s, srt-live-transmit {mean(cpu_ms['peer']):.2f} ms"
    return [
        ratio("SRT receive / srt-live-transmit", cpu_ms["payloads"], cpu_ms["peer"], 1.0, peer),
        ratio("SRT receive and hand-off / srt-live-transmit", cpu_ms["handoff"], cpu_ms["peer"], 1.3),
    ]


def _transport_stream(directory: Path, seconds: float) -> Path:
    path = directory / "source.ts"
    flv = source(directory, CLIPS[0], seconds, RATE_BPS)
    subprocess.run([FFMPEG, "-v", "error", "-y", "-i", str(flv), "-c", "copy", "-f", "mpegts", str(path)], check=True)
    return path


@asynccontextmanager
async def _ours(how: str) -> AsyncIterator[tuple[list[int], list[str]]]:
    async with ingest_process("srt", how) as (pid, port):
        yield [pid], [f"srt://127.0.0.1:{port}?streamid=sk_{number}" for number in range(STREAMS)]


@asynccontextmanager
async def _srt_live_transmit() -> AsyncIterator[tuple[list[int], list[str]]]:
    ports = [_free_port() for _ in range(STREAMS)]
    async with AsyncExitStack() as stack:
        pids = [await stack.enter_async_context(_listener(port)) for port in ports]
        # It says nothing when it listens; a caller tries for three seconds.
        yield pids, [f"srt://127.0.0.1:{port}" for port in ports]


@asynccontextmanager
async def _listener(port: int) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        "srt-live-transmit", "-q", f"srt://127.0.0.1:{port}?mode=listener", "file://con",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process.pid
    finally:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
