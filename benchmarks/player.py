"""The player page in headless Chromium: how far the picture on the page is behind the clock burned into it.

Twice: with the settings as they come, and with those of the least latency.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path
from statistics import median, quantiles

from benchmarks.report import Figure
from tests.e2e.browser import READ_CLOCK, open_page
from tests.e2e.node import running_node, wait_until

LEAST_LATENCY = {"ANTLIVE_PART_S": "0.2", "ANTLIVE_CHUNK_S": "0.033"}
_SETTLE_S = 15.0


async def run(directory: Path, quick: bool) -> list[Figure]:
    """One and five minutes of watching, after the player has settled."""
    usual = await _watch(directory / "usual", "defaults", {}, at_most_s=1.5, seconds=15 if quick else 60)
    least = await _watch(
        directory / "least", "progressive parts of 0.2 s", LEAST_LATENCY, at_most_s=1.0, seconds=30 if quick else 300
    )
    return usual + least


async def _watch(
    directory: Path, name: str, settings: dict[str, str], *, at_most_s: float, seconds: int
) -> list[Figure]:
    behind_s: list[float] = []
    buffered_s: list[float] = []
    async with running_node(directory, **settings) as node:
        stream = await node.create(quality="standard")
        arguments = ("-m", "antlive", "demo", "--url", stream["ingest"]["rtmpFullUrl"])
        encoder = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL)
        try:
            await node.wait_for_state(stream["streamId"], "live")
            async with open_page(f"{node.base_url}/player/{stream['edgeId']}") as page:

                async def picture() -> bool:
                    return await page.evaluate(READ_CLOCK) is not None

                await wait_until(picture, "a picture", 30)
                await asyncio.sleep(_SETTLE_S)
                before = await page.evaluate("window.antlivePlayer.stats()")
                end_s = time.monotonic() + seconds
                while time.monotonic() < end_s:
                    clock = await page.evaluate(READ_CLOCK)
                    if clock is not None:
                        behind_s.append((clock["now_ms"] - clock["clock_ms"]) / 1000)
                        buffered_s.append((await page.evaluate("window.antlivePlayer.stats()"))["buffer_s"])
                    await asyncio.sleep(0.1)
                after = await page.evaluate("window.antlivePlayer.stats()")
            published_s = _published_s(await node.text(f"{node.base_url}/metrics"))
        finally:
            encoder.kill()
            await encoder.wait()
    rest_s = median(behind_s) - median(buffered_s) - published_s
    note = (
        f"{len(behind_s)} looks, median {median(behind_s):.2f} s: {published_s:.2f} s from the media socket to a part, "
        f"{median(buffered_s):.2f} s in the player's buffer, {rest_s:.2f} s the rest; {after['rendition']}"
    )
    return [
        Figure(
            name=f"{name}: picture behind its clock, p95",
            value=quantiles(behind_s, n=20)[-1],
            unit="s",
            at_most=at_most_s,
            note=note,
        ),
        Figure(name=f"{name}: stalls in {seconds} s", value=after["stalls"] - before["stalls"], unit="", at_most=0),
        Figure(name=f"{name}: dropped frames", value=after["dropped_frames"] - before["dropped_frames"], unit=""),
    ]


def _published_s(metrics: str) -> float:
    """How long a picture took on average from the media socket until a part was published that ends with it."""
    values = {
        kind: float(
            re.findall(rf'^antlive_stage_seconds_{kind}{{[^}}]*stage="part"[^}}]*}} (\S+)$', metrics, re.MULTILINE)[0]
        )
        for kind in ("sum", "count")
    }
    return values["sum"] / values["count"]
