"""Progressive parts: how long from a frame's arrival to its bytes at a player, and what that costs; with and without.

A client holds a request for every part that a playlist hints at, as a low-latency player does, notes when it has the
first whole fragment of it, and reads the clock that the demo encoder has written into the first frame.
"""

from __future__ import annotations

import asyncio
import io
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urljoin

import av
import numpy as np
import psutil

from antlive.test_pattern import read_clock
from benchmarks.report import Figure
from benchmarks.service import worker_process
from tests.e2e.node import Node, running_node

CHUNKS_S = (0.0, 0.033, 0.1, 0.166)
_FOLLOWERS = 20
_SETTLE_S = 3.0


@dataclass(frozen=True, slots=True)
class _Run:
    first_frame_s: float
    worker_cpu: float
    web_cpu: float
    bytes_per_s: float


async def run(directory: Path, quick: bool) -> list[Figure]:
    """A `standard` stream at 720p30 with parts of 0.333 s; 20 players, each of which follows one rendition."""
    seconds = 6 if quick else 15
    runs = {chunk_s: await _measure(directory / str(chunk_s), chunk_s, seconds) for chunk_s in CHUNKS_S}
    whole = runs[0.0]
    figures = []
    for chunk_s, found in runs.items():
        name = f"chunks of {chunk_s * 1000:.0f} ms" if chunk_s else "parts delivered whole"
        bytes_share, worker_share = found.bytes_per_s / whole.bytes_per_s, found.worker_cpu / whole.worker_cpu
        note = (
            f"bytes {bytes_share:.3f} x, CPU of the worker {worker_share:.2f} x, "
            f"of the origin with {_FOLLOWERS} players {found.web_cpu * 100:.1f} %"
        )
        # With chunks the first frame is there long before its part: that is what they are for.
        at_most = whole.first_frame_s * 0.75 if chunk_s and chunk_s < 0.166 else None
        figures.append(
            Figure(
                name=f"{name}: first frame of a part to its bytes, median",
                value=found.first_frame_s, unit="s", at_most=at_most, note=note,
            )
        )  # fmt: skip
    return figures


async def _measure(directory: Path, chunk_s: float, seconds: float) -> _Run:
    async with running_node(directory, ANTLIVE_CHUNK_S=str(chunk_s)) as node:
        stream = await node.create(quality="standard")
        arguments = ("-m", "antlive", "demo", "--url", stream["ingest"]["rtmpFullUrl"])
        encoder = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL)
        try:
            await node.wait_for_state(stream["streamId"], "live")
            await asyncio.sleep(_SETTLE_S)
            master = await node.playlist(stream["playback"]["hlsUrl"])
            urls = [urljoin(stream["playback"]["hlsUrl"], playlist.uri) for playlist in master.playlists]
            worker, web = worker_process(node), _web_process(node)
            before = [sum(process.cpu_times()[:2]) for process in (worker, web)]
            begun_s = time.monotonic()
            followers = [_follow(node, urls[index % len(urls)], seconds) for index in range(_FOLLOWERS)]
            followed = await asyncio.gather(*followers)
            took_s = time.monotonic() - begun_s
            after = [sum(process.cpu_times()[:2]) for process in (worker, web)]
            late_s = [late for heads in followed for late in await asyncio.to_thread(_lateness, heads)]
        finally:
            with suppress(ProcessLookupError):
                encoder.kill()
            await encoder.wait()
    worker_cpu, web_cpu = ((later - earlier) / took_s for earlier, later in zip(before, after, strict=True))
    size_bytes = sum(head.size_bytes for heads in followed for head in heads)
    return _Run(median(late_s), worker_cpu, web_cpu, size_bytes / took_s)


@dataclass(frozen=True, slots=True)
class _Head:
    init: bytes
    data: bytes
    at_ms: float
    """Unix time at which the first whole fragment of the part had come."""
    size_bytes: int


async def _follow(node: Node, url: str, seconds: float) -> list[_Head]:
    heads: list[_Head] = []
    text = await node.text(url)
    init = await node.bytes(urljoin(url, text.split('#EXT-X-MAP:URI="')[1].split('"')[0]))
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        hint = text.split('#EXT-X-PRELOAD-HINT:TYPE=PART,URI="')[1].split('"')[0]
        msn, part = hint.split(".")[:2]
        head, text = await asyncio.gather(
            _part(node, urljoin(url, hint), init), node.text(f"{url}?_HLS_msn={msn}&_HLS_part={part}&_HLS_skip=YES")
        )
        heads.append(head)
    return heads


async def _part(node: Node, url: str, init: bytes) -> _Head:
    async with node.http.get(url) as response:
        assert response.status == 200, url
        head = await response.content.readexactly(8)
        moof = head + await response.content.readexactly(int.from_bytes(head[:4], "big") - 8)
        head = await response.content.readexactly(8)
        first = moof + head + await response.content.readexactly(int.from_bytes(head[:4], "big") - 8)
        at_ms = time.time() * 1000
        rest = await response.content.read()
        return _Head(init, first, at_ms, len(first) + len(rest))


def _lateness(heads: list[_Head]) -> list[float]:
    found = []
    for head in heads[:: max(1, len(heads) // 5)]:
        with av.open(io.BytesIO(head.init + head.data), "r") as container:
            for frame in container.decode(video=0):
                clock_ms = read_clock(np.asarray(frame.to_ndarray(format="gray"), dtype=np.uint8))
                if clock_ms is not None:
                    found.append((head.at_ms - clock_ms) / 1000)
                break
    return found


def _web_process(node: Node) -> psutil.Process:
    children = psutil.Process(node.process.pid).children(recursive=True)
    return next(process for process in children if "web" in process.cmdline())
