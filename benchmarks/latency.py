"""Latency of the service: from a frame's arrival to the part that holds it.

The demo encoder writes the time into every frame; its own few milliseconds of encoding count as ours. A client follows
each rendition by blocking reload, fetches each part when it is announced, and reads the clock of its first frame.
"""

from __future__ import annotations

import asyncio
import io
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urljoin

import av
import numpy as np

from antlive.test_pattern import read_clock
from benchmarks.report import Figure
from tests.e2e.node import Node, running_node


async def run(directory: Path, quick: bool) -> list[Figure]:
    """All renditions of a `standard` stream at 720p30, followed at once."""
    seconds = 10 if quick else 30
    async with running_node(directory / "node") as node:
        stream = await node.create(quality="standard")
        arguments = ("-m", "antlive", "demo", "--url", stream["ingest"]["rtmpFullUrl"])
        encoder = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL)
        try:
            await node.wait_for_state(stream["streamId"], "live")
            await asyncio.sleep(2)
            master = await node.playlist(stream["playback"]["hlsUrl"])
            urls = [urljoin(stream["playback"]["hlsUrl"], playlist.uri) for playlist in master.playlists]
            followed = await asyncio.gather(*(_follow(node, url, seconds) for url in urls))
        finally:
            with suppress(ProcessLookupError):
                encoder.kill()
            await encoder.wait()
    late_s = [late for latencies, _part_s in followed for late in latencies]
    part_s = followed[0][1]
    note = f"{len(late_s)} parts of {part_s:.3f} s"
    return [
        Figure(
            name="first frame to part fetched, median", value=median(late_s), unit="s", at_most=part_s + 0.15, note=note
        ),
        Figure(
            name="first frame to part fetched, p95", value=quantiles(late_s, n=20)[-1], unit="s", at_most=part_s + 0.3
        ),
    ]


async def _follow(node: Node, url: str, seconds: float) -> tuple[list[float], float]:
    """Seconds from the first frame's clock to the part in hand, part by part; and the duration of a part."""
    latencies: list[float] = []
    text = await node.text(url)
    init = await node.bytes(urljoin(url, text.split('#EXT-X-MAP:URI="')[1].split('"')[0]))
    end_s = time.monotonic() + seconds
    part_s = 0.0
    while time.monotonic() < end_s:
        hint = text.split('#EXT-X-PRELOAD-HINT:TYPE=PART,URI="')[1].split('"')[0]
        msn, part = hint.split(".")[:2]
        text = await node.text(f"{url}?_HLS_msn={msn}&_HLS_part={part}")
        data = await node.bytes(urljoin(url, hint))
        got_ms = time.time() * 1000
        clock_ms = await asyncio.to_thread(_first_clock, init + data)
        if clock_ms is not None:
            latencies.append((got_ms - clock_ms) / 1000)
        part_s = max(part_s, float(text.split("#EXT-X-PART:DURATION=")[1].split(",")[0]))
    return latencies, part_s


def _first_clock(data: bytes) -> int | None:
    with av.open(io.BytesIO(data), "r") as container:
        for frame in container.decode(video=0):
            return read_clock(np.asarray(frame.to_ndarray(format="gray"), dtype=np.uint8))
    return None
