"""Players side by side in one page of a real Chromium, and what each has shown when.

Three kinds of them: the product's own player page, hls.js with its defaults, and Shaka Player with its defaults. A
picture carries the clock strip of `antlive.test_pattern`, so a new picture of the source can be told from one that is
repeated.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from playwright.async_api import Frame

from tests.e2e.browser import open_page
from tests.e2e.node import wait_until

KINDS = ("page", "hlsjs", "shaka")
_HERE = Path(__file__).parent
_MODULES = _HERE.parent.parent / "node_modules"
_FILES = {
    "/": _HERE / "page.html",
    "/page.js": _HERE / "page.js",
    "/hls.js": _MODULES / "hls.js/dist/hls.min.js",
    "/shaka.js": _MODULES / "shaka-player/dist/shaka-player.compiled.js",
}
_LEAST_GAP_S = 0.25
"""Shorter gaps are the pace of frames on a busy machine."""

OBSERVE = """(id) => {
  const video = document.getElementById(id);
  const seen = (window.seen ??= {})[id] = [];
  let readAt = 0;
  const readClock = () => {
    const width = video.videoWidth, height = video.videoHeight;
    const canvas = new OffscreenCanvas(width, 1);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(video, 0, height - Math.floor(height / 24), width, 1, 0, 0, width, 1);
    const pixels = context.getImageData(0, 0, width, 1).data;
    let value = 0, ones = 0;
    for (let cell = 0; cell < 49; cell += 1) {
      const bit = pixels[Math.floor((cell + 0.5) * width / 49) * 4 + 1] > 127 ? 1 : 0;
      if (cell < 48) { value = value * 2 + bit; ones += bit; }
      else if ((ones & 1) !== bit || ones === 0) return null;
    }
    return value;
  };
  const onFrame = () => {
    const now = Date.now();
    if (now - readAt >= 60) { readAt = now; seen.push([now, readClock()]); }
    video.requestVideoFrameCallback(onFrame);
  };
  video.requestVideoFrameCallback(onFrame);
}"""

TAKE = "(id) => window.seen[id].splice(0)"


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame that a player has put on the page: when, and the clock in it (None: a slate), in Unix seconds."""

    at_s: float
    clock_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a fault cost one player, in seconds. `fatal` are the errors from which it had to be recovered."""

    stopped_s: float
    """No new frame at all: the player had nothing to show."""
    frozen_s: float
    """No new picture of the source: a player that shows the held picture or the slate counts, too."""
    recovered: bool
    fatal: list[str]


class Players:
    """All players on one stream."""

    def __init__(self, frames: dict[str, tuple[Frame, str]], main: Frame) -> None:
        self._frames = frames
        self._main = main
        self._shown: dict[str, list[Shown]] = {name: [] for name in frames}

    async def shown(self) -> dict[str, list[Shown]]:
        """Everything shown so far, by player."""
        for name, (frame, element) in self._frames.items():
            new: list[Any] = await frame.evaluate(TAKE, element)
            self._shown[name] += [Shown(at / 1000, None if clock is None else clock / 1000) for at, clock in new]
        return self._shown

    async def newest_clock_s(self) -> dict[str, float]:
        """The newest clock that each player has shown; 0.0 before the first."""
        shown = await self.shown()
        return {name: max((look.clock_s or 0.0 for look in looks), default=0.0) for name, looks in shown.items()}

    async def wait_for_picture(self, after_s: float, timeout_s: float) -> list[str]:
        """Return once every player shows pictures taken after this Unix time; the names of those that don't."""
        late: list[str] = []

        async def all_show() -> bool:
            late[:] = [name for name, clock_s in (await self.newest_clock_s()).items() if clock_s <= after_s]
            return not late

        with suppress(AssertionError):
            await wait_until(all_show, "pictures", timeout_s)
        return late

    async def seen(self, from_s: float, until_s: float, late: Sequence[str]) -> dict[str, Seen]:
        """What was seen between two moments. `late` are the players that have not recovered."""
        fatal: dict[str, list[str]] = await self._main.evaluate("window.fatal")
        return {
            name: Seen(
                stopped_s=_gaps_s([look.at_s for look in looks], from_s, until_s),
                frozen_s=_gaps_s(_new_pictures(looks), from_s, until_s),
                recovered=name not in late,
                fatal=fatal.get(name, []),
            )
            for name, looks in (await self.shown()).items()
        }


def _new_pictures(looks: list[Shown]) -> list[float]:
    """When a picture appeared that is newer than all before."""
    newest_s, times_s = 0.0, []
    for look in looks:
        if look.clock_s is not None and look.clock_s > newest_s:
            newest_s = look.clock_s
            times_s.append(look.at_s)
    return times_s


def _gaps_s(times_s: list[float], from_s: float, until_s: float) -> float:
    """The sum of all gaps of note between these times, cut to the interval."""
    inside = [from_s, *(at_s for at_s in times_s if from_s < at_s < until_s), until_s]
    return sum(gap for earlier, later in itertools.pairwise(inside) if (gap := later - earlier) > _LEAST_GAP_S)


@asynccontextmanager
async def open_players(hls_url: str, page_url: str, copies: int = 1) -> AsyncIterator[Players]:
    """All players, playing; the stream must be live. Raises `AssertionError` when one never shows a picture.

    One player page, and of each other kind so many copies, named "hlsjs-1" and so on.
    """
    app = web.Application()
    for path, file in _FILES.items():
        if not file.is_file():
            raise AssertionError(f"{file} is missing: run `make test` once, which installs it")
        app.router.add_get(path, serve_file(file))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        url = (
            f"http://127.0.0.1:{port}/?source={quote(hls_url, safe='')}&page={quote(page_url, safe='')}&copies={copies}"
        )
        async with open_page(url) as browser_page:
            framed = browser_page.frame("page")
            assert framed is not None
            await framed.wait_for_selector("#video", state="attached")
            main = browser_page.main_frame
            frames = {"page": (framed, "video")}
            for name in [f"{kind}-{copy}" for copy in range(1, copies + 1) for kind in KINDS[1:]]:
                await main.wait_for_selector(f"#{name}", state="attached")
                frames[name] = (main, name)
            for frame, element in frames.values():
                await frame.evaluate(OBSERVE, element)
            players = Players(frames, main)
            if late := await players.wait_for_picture(0.0, 30):
                raise AssertionError(f"no picture in {late}: {await main.evaluate('window.fatal')}")
            yield players
    finally:
        await runner.cleanup()


def serve_file(file: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(file)

    return handler
