"""RTMP ingest beside nginx-rtmp: 50 streams of 6 Mbit/s from the same load, CPU of the receiving processes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from statistics import mean

from benchmarks.cpu import cpu_ms_per_stream_second
from benchmarks.ingest_process import ingest_process
from benchmarks.report import Figure, ratio
from benchmarks.rtmp_load import pushing_to
from benchmarks.sources import CLIPS, source

STREAMS = 50
RATE_BPS = 6_000_000
NGINX, RTMP_MODULE = "/usr/sbin/nginx", "/usr/lib/nginx/modules/ngx_rtmp_module.so"
_SETTLE_S = 2.0
_CONFIG = """
load_module {module};
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 256; }}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        application live {{ live on; }}
    }}
}}
"""


async def run(directory: Path, quick: bool) -> list[Figure]:
    """nginx-rtmp, payloads, hand-off, in turns."""
    seconds, turns = (5, 1) if quick else (6, 5)
    length_s = seconds + _SETTLE_S + 2
    clip_source = await asyncio.to_thread(source, directory, CLIPS[0], length_s, RATE_BPS)
    receivers: dict[str, Callable[[], AbstractAsyncContextManager[tuple[int, int]]]] = {
        "nginx": lambda: _nginx(directory),
        "payloads": lambda: ingest_process("rtmp", "payloads"),
        "handoff": lambda: ingest_process("rtmp", "handoff"),
    }
    cpu_ms: dict[str, list[float]] = {name: [] for name in receivers}
    for _ in range(turns):
        for name, receiver in receivers.items():
            async with receiver() as (pid, port):
                urls = [f"rtmp://127.0.0.1:{port}/live/sk_{number}" for number in range(STREAMS)]
                async with pushing_to(urls, clip_source):
                    await asyncio.sleep(_SETTLE_S)
                    cpu_ms[name].append(await cpu_ms_per_stream_second([pid], seconds, STREAMS))
    rate_mbps = clip_source.stat().st_size * 8 / length_s / 1e6
    peer = f"{STREAMS} streams of {rate_mbps:.1f} Mbit/s, nginx-rtmp {mean(cpu_ms['nginx']):.2f} ms"
    return [
        ratio("RTMP to payloads / nginx-rtmp", cpu_ms["payloads"], cpu_ms["nginx"], 1.5, peer),
        ratio("RTMP to payloads in a worker / nginx-rtmp", cpu_ms["handoff"], cpu_ms["nginx"], 3.0),
    ]


@asynccontextmanager
async def _nginx(directory: Path) -> AsyncIterator[tuple[int, int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = directory / "nginx.conf"
    config.write_text(_CONFIG.format(module=RTMP_MODULE, directory=directory, port=port))
    process = await asyncio.create_subprocess_exec(NGINX, "-p", str(directory), "-c", str(config))
    try:
        await _listening(port)
        yield process.pid, port
    finally:
        process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
