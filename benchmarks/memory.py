"""Memory of the worker of a `standard` session, and whether it stays flat."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.report import Figure
from benchmarks.service import worker_process
from benchmarks.sources import CLIPS, source
from tests.e2e.node import pushing, running_node

_MIB = 1024 * 1024


async def run(directory: Path, quick: bool) -> list[Figure]:
    """RSS after the first seconds, and its growth until the end."""
    clip_source = source(directory, CLIPS[0], 30)
    async with running_node(directory / "node") as node:
        stream = await node.create(quality="standard")
        async with pushing(clip_source, stream["ingest"]["rtmpFullUrl"]):
            await node.wait_for_state(stream["streamId"], "live")
            worker = worker_process(node)
            await asyncio.sleep(15)
            early_bytes = worker.memory_info().rss
            minutes = 0.25 if quick else 1.5
            await asyncio.sleep(minutes * 60)
            late = worker.memory_full_info()
    return [
        Figure(
            name="standard worker RSS",
            value=late.rss / _MIB,
            unit="MiB",
            at_most=200,
            note=f"USS {late.uss / _MIB:.0f} MiB",
        ),
        Figure(
            name="standard worker RSS growth",
            value=(late.rss - early_bytes) / _MIB / minutes,
            unit="MiB/min",
            at_most=2,
        ),
    ]
