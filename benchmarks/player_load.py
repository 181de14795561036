"""Many low-latency players in one process, each as cheap as it can be, for a generator that is not the bottleneck.

A player follows one video rendition and the audio. Of each it asks for the playlist that has the next part, over one
connection, and when that has come for the one after it and, over another connection, for the part: as hls.js does.
Or, as AVPlayer does, for the part that the playlist hints at, before it is there.

    python -m benchmarks.player_load PORT VIEWERS SECONDS FILE listed|hinted

prints `ready` once every player is at the edge, plays for so long, and writes JSON to the file: its share of a core,
and lists of rendition, media sequence number, part, and when that playlist, or the hinted part, was asked for and had
come (monotonic time). With 0 seconds it only asks for the next playlist, or the hinted part, holds all that until its
standard input ends, and writes nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.viewers import BASE, PARTS, VIDEO

_HEADERS = (
    b"Host: live.example:8080\r\nConnection: keep-alive\r\n"
    b'sec-ch-ua: "Chromium";v="156", "Not?A_Brand";v="24"\r\nsec-ch-ua-platform: "Linux"\r\n'
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/156.0.0.0 Safari/537.36\r\n"
    b"Accept: */*\r\nOrigin: http://live.example\r\nReferer: http://live.example/player\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n\r\n"
)
_STARTS_PER_S = 500
_LOOKED_AT = 200
"""Every so many playlists one is read: it must list the part that was asked for."""
_BUFFER = memoryview(bytearray(1 << 20))


class _Connection(asyncio.BufferedProtocol):
    """One request at a time. `answered` gets the body of an answer that fits into one read; else empty bytes."""

    def __init__(self, answered: Callable[[bytes], None]) -> None:
        self._answered = answered
        self._left_bytes = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, path: str) -> None:
        """Send a request for this path below the session's."""
        assert self._transport is not None
        self._transport.write(f"GET {BASE}/{path} HTTP/1.1\r\n".encode() + _HEADERS)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self._left_bytes:
            self._left_bytes -= nbytes
            if not self._left_bytes:
                self._answered(b"")
            return
        data = bytes(_BUFFER[: min(nbytes, 8192)])
        head, end, body = data.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
        if not end or found is None or not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"expected a whole head with 200, got {head[:300]!r}")
        self._left_bytes = int(found[1]) - (nbytes - len(head) - len(end))
        if not self._left_bytes:
            self._answered(body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not _over.is_set():
            raise RuntimeError(f"a player lost its connection: {exc}")


_Note = tuple[str, int, int, float, float]
_over = asyncio.Event()
_notes: list[_Note] = []
_playing = asyncio.Event()


class _Follower:
    """Follows one rendition. What it notes is when playlists came, or when parts did that it had asked for before."""

    def __init__(self, name: str, *, hinted: bool) -> None:
        self._name = name
        self._hinted = hinted
        self._msn, self._part = -1, 0
        self._asked_s = 0.0
        self._count = hash(name) % _LOOKED_AT
        self._parts: deque[tuple[int, int]] = deque()
        """What it wants; the first one is asked for."""
        self._part_asked_s = 0.0
        self.at_edge = asyncio.Event()

    async def start(self, port: int) -> None:
        """Come to the edge and follow it from there on."""
        loop = asyncio.get_running_loop()
        _, self._playlists = await loop.create_connection(lambda: _Connection(self._has_playlist), "127.0.0.1", port)
        _, self._media = await loop.create_connection(lambda: _Connection(self._has_part), "127.0.0.1", port)
        self._playlists.ask(f"{self._name}/media.m3u8")
        await self.at_edge.wait()

    def _has_playlist(self, body: bytes) -> None:
        now_s = time.monotonic()
        if self._msn < 0:
            self._msn, self._part = _hinted(body)
            self.at_edge.set()
        else:
            if _playing.is_set() and not self._hinted:
                _notes.append((self._name, self._msn, self._part, self._asked_s, now_s))
            self._count += 1
            if self._count % _LOOKED_AT == 0 and f'URI="{self._msn}.{self._part}.m4s"' not in _text(body):
                raise RuntimeError(f"the answer came before part {self._msn}.{self._part}")
            if not self._hinted:
                self._want_part()
            self._part += 1
            if self._part == PARTS:
                self._msn, self._part = self._msn + 1, 0
        if self._hinted:
            self._want_part()
        if not _over.is_set():
            self._asked_s = now_s
            self._playlists.ask(f"{self._name}/media.m3u8?_HLS_msn={self._msn}&_HLS_part={self._part}&_HLS_skip=YES")

    def _want_part(self) -> None:
        self._parts.append((self._msn, self._part))
        if len(self._parts) == 1:
            self._ask_part()

    def _ask_part(self) -> None:
        self._part_asked_s = time.monotonic()
        msn, part = self._parts[0]
        self._media.ask(f"{self._name}/{msn}.{part}.m4s")

    def _has_part(self, body: bytes) -> None:
        msn, part = self._parts.popleft()
        if _playing.is_set() and self._hinted:
            _notes.append((self._name, msn, part, self._part_asked_s, time.monotonic()))
        if self._parts:
            self._ask_part()


async def _hold(name: str, port: int, *, hinted: bool) -> None:
    """Ask for the next playlist, or the hinted part, over a connection that has been used before."""
    came: asyncio.Queue[bytes] = asyncio.Queue()
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: _Connection(came.put_nowait), "127.0.0.1", port
    )
    connection.ask(f"{name}/media.m3u8")
    msn, part = _hinted(await came.get())
    connection.ask(f"{name}/{msn}.{part}.m4s" if hinted else f"{name}/media.m3u8?_HLS_msn={msn}&_HLS_part={part}")


def _text(body: bytes) -> str:
    return gzip.decompress(body).decode()


def _hinted(body: bytes) -> tuple[int, int]:
    """The part that the playlist hints at."""
    found = re.search(r'PRELOAD-HINT:TYPE=PART,URI="([0-9]+)\.([0-9]+)\.m4s"', _text(body))
    if found is None:
        raise RuntimeError("the playlist hints at no part")
    return int(found[1]), int(found[2])


async def _play(port: int, viewers: int, seconds: float, file: Path, *, hinted: bool) -> None:
    asyncio.get_running_loop().set_exception_handler(_failed)
    for index in range(viewers):
        if seconds:
            names = VIDEO[index % len(VIDEO)], "audio"
            await asyncio.gather(*(_Follower(name, hinted=hinted).start(port) for name in names))
            await asyncio.sleep(1 / _STARTS_PER_S)
        else:
            await _hold(VIDEO[0], port, hinted=hinted)
    print("ready", flush=True)
    if seconds:
        _playing.set()
        begun_s, spent_s = time.monotonic(), time.process_time()
        await asyncio.sleep(seconds)
        cpu = (time.process_time() - spent_s) / (time.monotonic() - begun_s)
        file.write_text(json.dumps({"cpu": cpu, "answers": _notes}))
    else:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    _over.set()


def _failed(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    print(repr(context.get("exception", context["message"])), file=sys.stderr, flush=True)
    os._exit(1)  # whatever failed, what was measured is worth nothing


if __name__ == "__main__":
    _port, _viewers, _seconds, _file, _asks_for = sys.argv[1:]
    uvloop.run(_play(int(_port), int(_viewers), float(_seconds), Path(_file), hinted=_asks_for == "hinted"))
