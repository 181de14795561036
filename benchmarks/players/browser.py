"""Players in a real Chromium, each in a browser of its own: the product's page, hls.js, Shaka Player and video.js."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from playwright.async_api import Page

from benchmarks.players.watch import STALL_S
from benchmarks.reliability.players import OBSERVE, TAKE, Shown, serve_file
from tests.e2e.browser import open_page

_HERE = Path(__file__).parent
_MODULES = _HERE.parent.parent / "node_modules"
_FILES = {
    "/": _HERE / "page.html",
    "/page.js": _HERE / "page.js",
    "/hls.js": _MODULES / "hls.js/dist/hls.min.js",
    "/shaka.js": _MODULES / "shaka-player/dist/shaka-player.compiled.js",
    "/video.js": _MODULES / "video.js/dist/video.min.js",
}
# The player page has its hls.js where a person at the console finds it.
_PAGE_ADAPTER = """() => {
  const video = document.getElementById('video'), errors = [];
  const hls = window.antlivePlayer.hls;
  hls.on(window.Hls.Events.ERROR, (_, data) => { if (data.fatal) errors.push(data.details); });
  window.player = {
    errors,
    switchTo: (height) => { hls.nextLevel = hls.levels.findIndex((level) => level.height === height); },
    toLive: () => { video.currentTime = hls.liveSyncPosition; },
  };
}"""
_ID = "watched"
_ELEMENT = "document.querySelector('video')"


class BrowserPlayer:
    """One of `page`, `hlsjs`, `shaka` and `videojs`."""

    cannot: frozenset[str] = frozenset()
    stall_s = STALL_S
    before_seek_s = 0.0

    def __init__(self, name: str, hls_url: str, page_url: str, latency_at_most_s: float) -> None:
        self.name = name
        self.latency_at_most_s = latency_at_most_s
        self._hls_url = hls_url
        self._page_url = page_url
        self._page: Page | None = None

    @property
    def page(self) -> Page:
        """The open page."""
        assert self._page is not None
        return self._page

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """A fresh browser."""
        if self.name == "page":
            async with self._observed(self._page_url):
                yield
            return
        query = f"?player={self.name}&source={quote(self._hls_url, safe='')}"
        async with _served() as base_url, self._observed(f"{base_url}/{query}"):
            yield

    @asynccontextmanager
    async def _observed(self, url: str) -> AsyncIterator[None]:
        async with open_page(url) as page:
            if self.name == "page":
                await page.wait_for_function("window.antlivePlayer?.hls")
                await page.evaluate(_PAGE_ADAPTER)
            await page.wait_for_function("window.player")
            # video.js wraps the element, and gives its id to the wrapper.
            await page.evaluate(f"{_ELEMENT}.id = '{_ID}'")
            await page.evaluate(OBSERVE, _ID)
            self._page = page
            yield

    async def shown(self) -> list[Shown]:
        """Pictures since the last call."""
        new: list[Any] = await self.page.evaluate(TAKE, _ID)
        return [Shown(at / 1000, None if clock is None else clock / 1000) for at, clock in new]

    async def errors(self) -> list[str]:
        """Fatal ones."""
        found: list[str] = await self.page.evaluate("window.player.errors")
        return found

    async def height_px(self) -> int:
        """Of the picture on the page."""
        height: int = await self.page.evaluate(f"{_ELEMENT}.videoHeight")
        return height

    async def switch(self, height_px: int) -> None:
        """By the player's own API."""
        await self.page.evaluate("(height) => { window.player.switchTo(height); }", height_px)

    async def seek_back(self, by_s: float) -> None:
        """As a viewer does, on the element."""
        await self.page.evaluate(f"(by) => {{ {_ELEMENT}.currentTime -= by; }}", by_s)

    async def to_live(self) -> None:
        """By the player's own API."""
        await self.page.evaluate("() => { window.player.toLive(); }")


@asynccontextmanager
async def _served() -> AsyncIterator[str]:
    """The page of the players, on an origin that is not the stream's."""
    app = web.Application()
    for path, file in _FILES.items():
        if not file.is_file():
            raise AssertionError(f"{file} is missing: run `make players`, which installs it")
        app.router.add_get(path, serve_file(file))
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
