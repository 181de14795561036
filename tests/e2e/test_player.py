"""The player page in a real Chromium: hls.js shows the picture of the demo encoder."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import pytest

from benchmarks.players.browser import BrowserPlayer
from benchmarks.players.watch import Visit, Watched
from tests.e2e.browser import READ_CLOCK, open_page
from tests.e2e.node import Node, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def demo(url: str, size: str = "640x360") -> AsyncIterator[None]:
    """`antlive demo`, pushing to this URL."""
    arguments = ("-m", "antlive", "demo", "--url", url, "--size", size)
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def test_the_player_page_shows_the_live_picture(node: Node) -> None:
    stream = await node.create(quality="standard")
    problems: list[str] = []
    async with open_page(f"{node.base_url}/player/{stream['edgeId']}") as page:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console", lambda message: problems.append(message.text) if "Content Security" in message.text else None
        )
        await page.get_by_text("waiting for the stream").wait_for()
        async with demo(stream["ingest"]["rtmpFullUrl"]):
            clocks: list[dict[str, Any]] = []

            async def seen_for_five_seconds() -> bool:
                clock = await page.evaluate(READ_CLOCK)
                if clock is not None and (not clocks or clock["clock_ms"] > clocks[-1]["clock_ms"]):
                    clocks.append(clock)
                return bool(clocks) and clocks[-1]["clock_ms"] - clocks[0]["clock_ms"] > 5000

            await wait_until(seen_for_five_seconds, "five seconds of picture", 40, lambda: str(clocks))
            stats = await page.evaluate("window.antlivePlayer.stats()")
            poster = await page.evaluate("document.getElementById('video').poster")
            assert (await node.bytes(poster)).startswith(b"\xff\xd8")
    assert stats["playing"] and stats["error"] is None, stats
    assert stats["rendition"] == "640x360"
    # What the page says of its latency is what the clock in its picture says.
    behind_s = (clocks[-1]["now_ms"] - clocks[-1]["clock_ms"]) / 1000
    assert stats["latency_s"] == pytest.approx(behind_s, abs=0.5)
    expected = "the server responded with a status of 404"  # while the page waits for the stream
    assert [problem for problem in problems if expected not in problem] == []


async def test_a_classic_stream_plays_too(node: Node) -> None:
    stream = await node.create(quality="standard", lowLatency=False)
    async with (
        demo(stream["ingest"]["rtmpFullUrl"]),
        open_page(f"{node.base_url}/player/{stream['edgeId']}") as page,
    ):

        async def picture() -> bool:
            return await page.evaluate(READ_CLOCK) is not None

        await wait_until(picture, "a picture", 40)


async def test_hls_js_joins_late_switches_down_and_up_seeks_back_and_returns_to_live(node: Node) -> None:
    stream = await node.create(quality="standard")
    hls_url = stream["playback"]["hlsUrl"]
    async with demo(stream["ingest"]["rtmpFullUrl"], "848x480"):
        await node.wait_for_state(stream["streamId"], "live")

        async def ten_seconds_old() -> bool:
            master = await node.playlist(hls_url)
            media = await node.playlist(urljoin(hls_url, master.playlists[0].uri))
            return sum(segment.duration or 0.0 for segment in media.segments) > 10

        await wait_until(ten_seconds_old, "ten seconds of stream", 30)
        player, watched = BrowserPlayer("hlsjs", hls_url, "", 5.0), Watched("hlsjs")
        visit = Visit(player, watched, act_s=2.0, back_s=8.0)
        async with player.opened():
            assert await visit.until(lambda _: True, 20)
            for height_px in (360, 480, 360):
                await visit.switch(height_px)
            await visit.rewind()
            assert await player.errors() == []
    assert watched.switches_done == watched.switches >= 2
    assert watched.seeks_done == watched.returns_done == 1
