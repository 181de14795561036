"""mpv without a window, over its JSON IPC; what it shows is taken from screenshots."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import av
import numpy as np

from antlive.test_pattern import read_clock
from benchmarks.reliability.players import Shown
from tests.e2e.node import wait_until

_FROM_END_S = 2.0
_ARGUMENTS = (
    "--no-config", "--vo=null", "--ao=null", "--untimed=no", "--no-terminal", "--hwdec=no", "--screenshot-format=jpg",
    # The playlist of a live stream can't be seeked in by mpv's demuxer; what it has kept can.
    "--cache=yes", "--demuxer-max-back-bytes=100MiB", "--force-seekable=yes",
)  # fmt: skip


class MpvPlayer:
    """Debian's mpv. A picture is looked at five times a second: a stall is what lasts for a second."""

    name = "mpv"
    # FFmpeg 5.1 finds no picture after it in fragmented MP4, not in what it writes itself either.
    cannot = frozenset({"switch"})
    latency_at_most_s = 12.0
    stall_s = 1.0
    before_seek_s = 30.0
    """It seeks within what it has kept."""

    def __init__(self, hls_url: str) -> None:
        self._hls_url = hls_url
        self._shown: list[Shown] = []
        self._errors: list[str] = []
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """A fresh mpv."""
        with tempfile.TemporaryDirectory(prefix="antlive-mpv-") as directory:
            socket, log = Path(directory) / "ipc", Path(directory) / "log"
            process = await asyncio.create_subprocess_exec(
                "mpv", *_ARGUMENTS, f"--input-ipc-server={socket}", f"--log-file={log}", self._hls_url
            )

            async def listens() -> bool:
                return socket.exists()

            tasks: list[asyncio.Task[None]] = []
            try:
                await wait_until(listens, "mpv's socket")
                reader, self._writer = await asyncio.open_unix_connection(socket)
                tasks += [asyncio.create_task(self._read(reader)), asyncio.create_task(self._look(Path(directory)))]
                yield
                if process.returncode is not None:
                    self._errors.append(f"ended with {process.returncode}")
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if process.returncode is None:
                    process.kill()
                await process.wait()
                if self._writer is not None:
                    self._writer.close()
                if log.exists():
                    # [time][level][module] text
                    lines = log.read_text(errors="replace").splitlines()
                    self._errors += [
                        line.partition("]")[2] for line in lines if "][e][" in line and "screenshot" not in line
                    ]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            if (waiting := self._replies.pop(message.get("request_id", 0), None)) is not None and not waiting.done():
                waiting.set_result(message)

    async def _command(self, *words: Any) -> Any:
        """The reply's data; None when mpv says that it can't."""
        assert self._writer is not None
        number = next(self._ids)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"command": words, "request_id": number}).encode() + b"\n")
        message = await asyncio.wait_for(reply, 10)
        if message["error"] != "success":
            return None
        return True if message.get("data") is None else message["data"]

    async def _look(self, directory: Path) -> None:
        newest: float | None = None
        file = directory / "look.jpg"
        while True:
            await asyncio.sleep(0.2)
            if await self._command("screenshot-to-file", str(file), "video") is None:
                continue
            at_s = time.time()
            clock_s = await asyncio.to_thread(_clock_s, file)
            if clock_s is not None and clock_s != newest:
                newest = clock_s
                self._shown.append(Shown(at_s, clock_s))

    async def shown(self) -> list[Shown]:
        """New pictures since the last call."""
        found, self._shown = self._shown, []
        return found

    async def errors(self) -> list[str]:
        """Errors in its log; complete once it has been closed."""
        return self._errors

    async def height_px(self) -> int:
        """Of the video that is decoded."""
        return int(await self._command("get_property", "height") or 0)

    async def switch(self, height_px: int) -> None:
        """Each rendition is a video track of mpv's."""
        for track in await self._command("get_property", "track-list") or []:
            if track["type"] == "video" and track.get("demux-h") == height_px:
                await self._command("set_property", "vid", track["id"])
                return
        self._errors.append(f"no track of {height_px} lines")

    async def seek_back(self, by_s: float) -> None:
        """Within what it has kept."""
        await self._command("seek", -by_s, "relative")

    async def to_live(self) -> None:
        """To a little before the end of what it has loaded."""
        state = await self._command("get_property", "demuxer-cache-state") or {}
        with suppress(ValueError):
            end_s = max(span["end"] for span in state.get("seekable-ranges", []))
            await self._command("seek", end_s - _FROM_END_S, "absolute")


def _clock_s(file: Path) -> float | None:
    with av.open(str(file)) as container:
        for frame in container.decode(video=0):
            clock_ms = read_clock(np.asarray(frame.to_ndarray(format="gray"), dtype=np.uint8))
            return None if clock_ms is None else clock_ms / 1000
    return None
