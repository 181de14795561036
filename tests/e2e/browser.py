"""A real Chromium, headless, for tests and benchmarks."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Page, async_playwright

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)

READ_CLOCK = """() => {
  const video = document.getElementById('video');
  if (!video.videoWidth) return null;
  const width = video.videoWidth, height = video.videoHeight;
  const canvas = new OffscreenCanvas(width, 1);
  const row = height - Math.floor(height / 12 / 2);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(video, 0, row, width, 1, 0, 0, width, 1);
  const pixels = context.getImageData(0, 0, width, 1).data;
  let value = 0, ones = 0;
  for (let cell = 0; cell < 49; cell += 1) {
    const bit = pixels[Math.floor((cell + 0.5) * width / 49) * 4 + 1] > 127 ? 1 : 0;
    if (cell < 48) { value = value * 2 + bit; ones += bit; }
    else if ((ones & 1) !== bit || ones === 0) return null;  // a black picture is no clock
  }
  return { clock_ms: value, now_ms: Date.now() };
}"""
"""Reads the clock strip of the picture on the page (see `antlive.test_pattern`); null while it is not readable."""


@asynccontextmanager
async def open_page(url: str) -> AsyncIterator[Page]:
    """A page in a fresh browser profile."""
    executable = shutil.which("chromium")
    assert executable is not None, "chromium is not installed: run `make test`"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, headless=True, args=list(_ARGUMENTS))
        try:
            page = await browser.new_page(viewport={"width": 1280, "height": 1000})
            await page.goto(url)
            yield page
        finally:
            await browser.close()
