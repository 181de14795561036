"""Connections whose requests may be answered ahead of the routes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from antlive.http_runner import HttpRunner
from antlive.request_meter import RequestMeter
from packager.anywhere import SESSIONS
from packager.held_parts import HeldParts
from packager.held_playlists import HeldPlaylists
from packager.held_requests import Answers, Group, HeldRequests
from packager.live_sessions import LiveSessions
from packager.origin import hot_media
from tests.packager.helpers import EDGE_ID, SESSION_ID, Writer, until

BASE = f"/live/{EDGE_ID}/{SESSION_ID}"
HEADERS = b"Host: a\r\nUser-Agent: player\r\nAccept-Encoding: gzip, br\r\n"
BY_ROUTE = b"If-None-Match: x\r\n"
"""Changes nothing but who answers."""


def request(path: str, headers: bytes = HEADERS, method: bytes = b"GET") -> bytes:
    return b"%b %b/%b HTTP/1.1\r\n%b\r\n" % (method, BASE.encode(), path.encode(), headers)


@dataclass(eq=False)
class Viewer:
    """A connection that notes what it gets."""

    address: str | None = "192.0.2.1"
    answers: list[bytes] = field(default_factory=list)
    given_back: int = 0

    def answer(self, buffers: Sequence[bytes]) -> None:
        self.answers.append(b"".join(buffers))

    def give_back(self) -> None:
        self.given_back += 1


class Clock:
    """Time as it is set, and what is to be called."""

    def __init__(self) -> None:
        self.at_s = 100.0
        self.timers: list[Timer] = []

    def now_s(self) -> float:
        return self.at_s

    def call_later(self, after_s: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.at_s + after_s, callback))
        return self.timers[-1]

    def go_to(self, at_s: float) -> None:
        self.at_s = at_s
        for timer in [timer for timer in self.timers if timer.at_s <= at_s]:
            self.timers.remove(timer)
            if not timer.cancelled:
                timer.callback()


@dataclass(eq=False)
class Timer:
    at_s: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Core:
    """Groups without a network: a target duration of 2 s, three of which a request is held."""

    def __init__(self, media_dir: Path) -> None:
        self.writer = Writer(media_dir)
        self.writer.parts(5)
        self.clock = Clock()
        self.sessions = LiveSessions(media_dir)
        recognise = HeldPlaylists(self.sessions).recognise, HeldParts(self.sessions, hot_media(media_dir)).recognise
        self.held = HeldRequests(3, *recognise, now_s=self.clock.now_s, call_later=self.clock.call_later)
        self.told: list[Answers] = []
        self.held.on_answers = self.told.append

    def hold(self, path: str, headers: bytes = HEADERS) -> Viewer:
        viewer = Viewer()
        assert isinstance(self.held.ask(request(path, headers), viewer), Group)
        return viewer

    def publish(self, parts: int = 1) -> None:
        self.writer.parts(parts)
        self.held_requests()

    def held_requests(self) -> int:
        return self.sessions.get(EDGE_ID, SESSION_ID).held_requests


@dataclass
class Server:
    runner: HttpRunner
    app: web.Application
    meter: RequestMeter

    async def connect(self) -> Connection:
        """A connection whose next request may be answered ahead of the routes: its first one never is."""
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self.runner.addresses[0][1]))
        connection.ask(request("720p/init-0.mp4"))
        await connection.answer()
        return connection

    async def hold(self, path: str, headers: bytes = HEADERS) -> Connection:
        """A connection with a request that is proven to wait."""
        session = self.app[SESSIONS].get(EDGE_ID, SESSION_ID)
        before = session.held_requests
        connection = await self.connect()
        connection.ask(request(path, headers))
        await until(lambda: session.held_requests == before + 1)
        return connection

    @property
    def in_groups(self) -> int:
        return sum(len(group) for group in self.app[SESSIONS].get(EDGE_ID, SESSION_ID).groups.values())


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def ask(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> bytes:
        """All bytes of one answer, but for the moment that it names."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: ([0-9]+)", head)
        body = await self.reader.readexactly(int(length[1]) if length else 0)
        return re.sub(rb"Date: [^\r]*", b"Date: then", head) + body


NewServer = Callable[..., Awaitable[Server]]
