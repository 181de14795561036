"""GStreamer's playbin3 with hlsdemux2, in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.players.strip import row_clock_s
from benchmarks.players.watch import STALL_S
from benchmarks.reliability.players import Shown

_SCRIPT = Path(__file__).with_name("gstreamer_script.py")
_BITS_PER_S = {360: 1_100_000, 480: 20_000_000}
"""The speed of a network for which each rendition is the right one."""


class GstreamerPlayer:
    """Debian's GStreamer."""

    name = "gstreamer"
    cannot: frozenset[str] = frozenset()
    latency_at_most_s = 12.0
    stall_s = STALL_S
    before_seek_s = 0.0

    def __init__(self, hls_url: str) -> None:
        self._hls_url = hls_url
        self._shown: list[Shown] = []
        self._errors: list[str] = []
        self._height_px = 0
        self._process: asyncio.subprocess.Process | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """A fresh pipeline."""
        process = self._process = await asyncio.create_subprocess_exec(
            "/usr/bin/python3", str(_SCRIPT), self._hls_url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        reading = asyncio.create_task(self._read(process.stdout))
        try:
            yield
            if process.returncode is not None:
                self._errors.append(f"ended with {process.returncode}")
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await reading

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        while line := (await stdout.readline()).decode():
            word, _, rest = line.strip().partition(" ")
            if word == "row":
                at, height, row = rest.split()
                self._height_px = int(height)
                self._shown.append(Shown(float(at), row_clock_s(bytes.fromhex(row))))
            else:
                self._errors.append(rest)

    async def shown(self) -> list[Shown]:
        """Pictures since the last call."""
        found, self._shown = self._shown, []
        return found

    async def errors(self) -> list[str]:
        """Error messages on the bus."""
        return self._errors

    async def height_px(self) -> int:
        """Of the last picture."""
        return self._height_px

    async def switch(self, height_px: int) -> None:
        """By the speed that the demuxer is to believe in."""
        await self._tell(f"switch {_BITS_PER_S[height_px]}")

    async def seek_back(self, by_s: float) -> None:
        """By a flushing seek."""
        await self._tell(f"back {by_s}")

    async def to_live(self) -> None:
        """To the end of what can be seeked to, which keeps the distance of HOLD-BACK."""
        await self._tell("live")

    async def _tell(self, text: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())
        await self._process.stdin.drain()
