"""What the benchmarks need of a running node: its CPU time, and the renditions it has published."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

import psutil

from benchmarks.cpu import cpu_seconds_of
from tests.e2e.inside import workers
from tests.e2e.node import Node


def cpu_seconds(node: Node) -> float:
    """User and system time of every process of the service so far."""
    return cpu_seconds_of([node.process.pid])


def worker_process(node: Node) -> psutil.Process:
    """The session worker: of several the one that has spent the most CPU time."""
    return max(workers(node).values(), key=lambda process: process.cpu_times().user)


async def save_rendition(node: Node, hls_url: str, name: str, path: Path) -> None:
    """Fetch every segment of a rendition that the playlist lists, and join them behind the init segment."""
    master = await node.playlist(hls_url)
    uri = next(playlist.uri for playlist in master.playlists if f"/{name}/" in playlist.uri)
    url = urljoin(hls_url, uri)
    segments = [segment for segment in (await node.playlist(url)).segments if segment.uri]
    init = segments[0].init_section
    assert init is not None
    data = [await node.bytes(urljoin(url, init.uri))]
    data += [await node.bytes(urljoin(url, segment.uri)) for segment in segments]
    path.write_bytes(b"".join(data))
