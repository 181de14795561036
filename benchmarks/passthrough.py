"""30 passthrough streams of 3 Mbit/s from RTMP to LL-HLS: CPU and memory of the whole service, every process of it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import psutil

from benchmarks.cpu import cpu_ms_per_stream_second
from benchmarks.report import Figure
from benchmarks.rtmp_load import pushing_to
from benchmarks.sources import CLIPS, source
from tests.e2e.node import Node, running_node, wait_until

STREAMS = 30
RATE_BPS = 3_000_000
_SETTLE_S = 4.0
_MIB = 1024 * 1024
_SHM = Path("/dev/shm")


async def run(directory: Path, quick: bool) -> list[Figure]:
    """All streams at once; then they end, and their memory should be there again."""
    seconds = 6 if quick else 15
    clip_source = await asyncio.to_thread(source, directory, CLIPS[0], seconds + _SETTLE_S + 4, RATE_BPS)
    with tempfile.TemporaryDirectory(prefix="antlive-bench-", dir=_SHM if _SHM.is_dir() else None) as media:
        environment = {"ANTLIVE_MEDIA_DIR": media, "ANTLIVE_RECONNECT_WINDOW_S": "0", "ANTLIVE_ENDED_RETENTION_S": "0"}
        async with running_node(directory / "node", **environment) as node:
            return await _measure(node, clip_source, seconds, Path(media))


async def _measure(node: Node, clip_source: Path, seconds: float, media: Path) -> list[Figure]:
    streams = [await node.create(quality="passthrough") for _ in range(STREAMS)]
    idle_processes, idle_bytes = len(_processes(node)), _memory_bytes(node)
    async with pushing_to([stream["ingest"]["rtmpFullUrl"] for stream in streams], clip_source):
        for stream in streams:
            await node.wait_for_state(stream["streamId"], "live")
        await asyncio.sleep(_SETTLE_S)
        cpu_ms = await cpu_ms_per_stream_second([node.process.pid], seconds, STREAMS)
        busy_bytes = _memory_bytes(node)
        media_bytes = sum(path.stat().st_size for path in media.rglob("*") if path.is_file())
    for stream in streams:
        await node.wait_for_state(stream["streamId"], "ended")

    async def gone() -> bool:
        return not any(path.is_file() for path in media.glob("*/**/*")) and len(_processes(node)) == idle_processes

    await wait_until(gone, "the worker's end")
    kept_bytes = _memory_bytes(node) - idle_bytes
    rate_mbps = clip_source.stat().st_size * 8 / (seconds + _SETTLE_S + 4) / 1e6
    note = f"{STREAMS} streams of {rate_mbps:.1f} Mbit/s; media directory {media_bytes / _MIB / STREAMS:.1f} MiB each"
    each = (busy_bytes - idle_bytes) / 1e6 / STREAMS
    return [
        Figure(name="passthrough, CPU per stream second", value=cpu_ms, unit="ms", at_most=5.0, note=note),
        Figure(name="passthrough, memory per stream", value=each, unit="MB", at_most=12.0),
        Figure(name="passthrough, memory kept after the end", value=kept_bytes / 1e6, unit="MB", at_most=5.0),
    ]


def _processes(node: Node) -> list[psutil.Process]:
    supervisor = psutil.Process(node.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def _memory_bytes(node: Node) -> int:
    """What all processes occupy together; pages that several share are counted once."""
    return sum(process.memory_full_info().pss for process in _processes(node))
