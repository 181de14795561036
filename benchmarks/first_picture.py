"""First picture: from the encoder's connection to a playlist whose first part decodes."""

from __future__ import annotations

import asyncio
import io
import time
from pathlib import Path
from statistics import median
from urllib.parse import urljoin

import av

from benchmarks.report import Figure
from benchmarks.sources import CLIPS, source
from tests.e2e.node import Node, pushing, running_node, wait_until


async def run(directory: Path, quick: bool) -> list[Figure]:
    """Several publishes of a source with a GOP of 1 s."""
    clip_source = source(directory, CLIPS[0], 30)
    times_s: list[float] = []
    async with running_node(directory / "node") as node:
        for _ in range(2 if quick else 6):
            stream = await node.create(quality="standard")
            async with pushing(clip_source, stream["ingest"]["rtmpFullUrl"]):
                await node.wait_for_state(stream["streamId"], "connecting", "live")
                start_s = time.monotonic()
                await _playable(node, stream["playback"]["hlsUrl"])
                times_s.append(time.monotonic() - start_s)
    note = f"{len(times_s)} publishes, {min(times_s):.2f} to {max(times_s):.2f} s, median {median(times_s):.2f} s"
    return [Figure(name="publish accepted to playable", value=max(times_s), unit="s", at_most=2.0, note=note)]


async def _playable(node: Node, hls_url: str) -> None:
    async def decodes() -> bool:
        async with node.http.get(hls_url) as response:
            if response.status != 200:
                await asyncio.sleep(0.01)
                return False
        url = urljoin(hls_url, (await node.playlist(hls_url)).playlists[0].uri)
        lines = (await node.text(url)).splitlines()
        init = next(line.split('"')[1] for line in lines if line.startswith("#EXT-X-MAP"))
        part = next(line.split('URI="')[1].split('"')[0] for line in lines if line.startswith("#EXT-X-PART:"))
        data = await node.bytes(urljoin(url, init)) + await node.bytes(urljoin(url, part))
        with av.open(io.BytesIO(data), "r") as container:
            return next(iter(container.decode(video=0)), None) is not None

    await wait_until(decodes, "a playable playlist")
