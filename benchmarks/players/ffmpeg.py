"""ffmpeg, which reads at the pace of the media. Whatever it is to do differently, it has to begin anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from antlive.test_pattern import STRIP_CELLS
from benchmarks.players.strip import row_clock_s
from benchmarks.players.watch import STALL_S
from benchmarks.reliability.players import Shown

_CELL_PX = 10


class FfmpegPlayer:
    """Debian's ffmpeg; it knows no parts."""

    name = "ffmpeg"
    cannot = frozenset({"switch", "seek"})
    latency_at_most_s = 12.0
    stall_s = STALL_S
    before_seek_s = 0.0

    def __init__(self, hls_url: str, heights_px: Sequence[int]) -> None:
        self._hls_url = hls_url
        self._heights_px = heights_px
        self._shown: list[Shown] = []
        self._errors: list[str] = []

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """One run of ffmpeg, of the best rendition."""
        # The row in the middle of the strip, a few pixels for each cell.
        picture = f"crop=iw:2:0:ih-ih/24,format=gray,scale={STRIP_CELLS * _CELL_PX}:1:flags=neighbor"
        process = await asyncio.create_subprocess_exec(
            "ffmpeg", "-v", "error", "-nostdin", "-re", "-i", self._hls_url, "-map", "0:a:0", "-f", "null", "/dev/null",
            "-map", "0:v:0", "-vf", picture, "-f", "rawvideo", "-",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        reading = asyncio.gather(self._read(process.stdout), self._complain(process.stderr))
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
        with suppress(asyncio.IncompleteReadError):
            while True:
                row = await stdout.readexactly(STRIP_CELLS * _CELL_PX)
                self._shown.append(Shown(time.time(), row_clock_s(row)))

    async def _complain(self, stderr: asyncio.StreamReader) -> None:
        while line := await stderr.readline():
            self._errors.append(line.decode(errors="replace").strip())

    async def shown(self) -> list[Shown]:
        """Frames decoded since the last call."""
        found, self._shown = self._shown, []
        return found

    async def errors(self) -> list[str]:
        """Every line of `-v error`."""
        return self._errors

    async def height_px(self) -> int:
        """It stays with the rendition it was told to map."""
        return self._heights_px[-1]

    async def switch(self, height_px: int) -> None:
        raise NotImplementedError

    async def seek_back(self, by_s: float) -> None:
        raise NotImplementedError

    async def to_live(self) -> None:
        raise NotImplementedError
