"""The player page in a real Chromium, on sessions that the test itself publishes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from packager.cuts import PlannedCuts
from packager.origin import setup_origin
from packager.player_page import setup_player
from packager.publication import Publication
from packager.segmenter import RenditionSegmenter
from tests.e2e.browser import open_page
from tests.packager.helpers import EDGE_ID
from tests.packager.test_cmaf import encode_audio, encode_video

HLS_JS_FILE = Path(__file__).parents[2] / "node_modules/hls.js/dist/hls.min.js"
PART_STARTS_S = [Fraction(0), Fraction(1, 3), Fraction(2, 3)]
TIMEOUT_MS = 20_000


class Live:
    """A session of real pictures and sound, three seconds at a time."""

    def __init__(self, media_dir: Path, letter: str) -> None:
        started_s = time.time() - 3
        self.publication = Publication(
            media_dir,
            edge_id=EDGE_ID,
            session_id="se_" + letter * 26,
            low_latency=True,
            window_s=20,
            part_target_s=0.36,
            target_duration_s=1,
            wall_time_s=lambda media_s: started_s + media_s,
        )
        self.segmenters = []
        for track, samples in (encode_video(0), encode_audio()):
            cuts = PlannedCuts(PART_STARTS_S, Fraction(1), track.timescale_hz, Fraction(0))
            segmenter = RenditionSegmenter(self.publication, track, cuts)
            first = samples[0].dts
            for one in samples:
                segmenter.add(replace(one, dts=one.dts - first, pts=one.pts - first))
            self.segmenters.append(segmenter)
        self.publication.make_current()

    def end(self) -> None:
        for segmenter in self.segmenters:
            segmenter.flush()
        self.publication.end()


@pytest.fixture
async def page_url(tmp_path: Path) -> AsyncIterator[str]:
    app = web.Application()
    setup_origin(app, tmp_path)
    setup_player(app, HLS_JS_FILE)
    async with TestServer(app) as server:
        yield str(server.make_url(f"/player/{EDGE_ID}"))


async def test_the_page_waits_plays_ends_and_plays_the_next_session(tmp_path: Path, page_url: str) -> None:
    problems: list[str] = []
    async with open_page(page_url) as page:
        page.on("pageerror", lambda error: problems.append(str(error)))

        async def until_state(name: str) -> None:
            await page.wait_for_function(
                "name => window.antlivePlayer?.stats().state === name", arg=name, timeout=TIMEOUT_MS
            )

        await page.get_by_text("waiting for the stream").wait_for(timeout=TIMEOUT_MS)
        first = Live(tmp_path, "a")
        await until_state("playing")
        stats = await page.evaluate("window.antlivePlayer.stats()")
        assert stats["rendition"] == "320x180" and stats["error"] is None
        assert await page.locator("#rendition option").all_inner_texts() == ["Auto", "180p"]
        assert await page.locator("#unmute").is_visible()
        await page.locator("#unmute").press("Enter")
        assert not await page.evaluate("document.getElementById('video').muted")
        first.end()
        await until_state("ended")
        await page.get_by_text("The stream has ended. Waiting for the next one.").wait_for(timeout=TIMEOUT_MS)
        Live(tmp_path, "b")
        await until_state("playing")
        assert not (await page.evaluate("window.antlivePlayer.stats()"))["ended"]
    assert problems == []
