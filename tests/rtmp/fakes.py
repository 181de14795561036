"""An admission that decides as it is told, and its sinks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from config.limits import IngestLimits
from ingest.admission import Buffer, EncoderConnection, PublishRefused, PublishRequest, Refusal
from ingest.rtmp.server import RtmpServer
from tests.rtmp.wire import CONNECT, CREATE_STREAM, HELLO, Replies, publish

KEY = "sk_right"
QUICK = IngestLimits(refusal_grace_s=0.05)


class FakeSink:
    """Keeps what arrives."""

    def __init__(self, connection: EncoderConnection) -> None:
        self.stream_id = "ls_test"
        self.session_id = "se_test"
        self.connection_number = 1
        self.connection = connection
        self.received = bytearray()
        self.writes = 0
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.on_write: Callable[[], None] | None = None
        self._changed = asyncio.Event()

    def write(self, buffers: Sequence[Buffer]) -> None:
        for buffer in buffers:
            self.received += buffer
        self.writes += 1
        self._changed.set()
        if self.on_write is not None:
            self.on_write()

    def close(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)

    async def wait_for(self, size: int) -> None:
        """Until `size` bytes are here."""
        while len(self.received) < size:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 10)


class FakeAdmission:
    """Knows one key, and lets one publisher at a time use it."""

    def __init__(self) -> None:
        self.sinks: list[FakeSink] = []
        self.requests: asyncio.Queue[PublishRequest] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self._new_sink = asyncio.Event()

    async def publish(self, request: PublishRequest) -> FakeSink:
        self.requests.put_nowait(request)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if request.key != KEY:
            raise PublishRefused(Refusal.WRONG_KEY, "no stream has this key")
        if any(not sink.closed.done() for sink in self.sinks):
            raise PublishRefused(Refusal.ALREADY_PUBLISHING, "the stream has a publisher already")
        self.sinks.append(FakeSink(request.connection))
        self._new_sink.set()
        return self.sinks[-1]

    async def sink(self, index: int = 0) -> FakeSink:
        """The sink of the accepted connection number `index`, once it is there."""
        while len(self.sinks) <= index:
            self._new_sink.clear()
            await asyncio.wait_for(self._new_sink.wait(), 10)
        return self.sinks[index]


class Listening:
    """A server with its fake admission."""

    def __init__(self, admission: FakeAdmission, server: RtmpServer, port: int) -> None:
        self.admission = admission
        self.server = server
        self.port = port


@asynccontextmanager
async def listening(**changes: Any) -> AsyncIterator[Listening]:
    """A server on a free port of this machine."""
    admission = FakeAdmission()
    server = RtmpServer(admission, replace(QUICK, **changes))
    port = await server.start("127.0.0.1", 0)
    try:
        yield Listening(admission, server, port)
    finally:
        await server.close()
        assert server.connections == 0


class Encoder:
    """A client that sends what it is told and reads all replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.replies = Replies()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def wait_for_code(self, code: str) -> None:
        """Until the server has sent this status code."""
        while code not in self.replies.codes:
            data = await asyncio.wait_for(self.reader.read(65536), 10)
            assert data, f"closed before {code}, got {self.replies.codes}"
            self.replies.feed(data)

    async def wait_for_end(self) -> None:
        """Until the server has closed the connection."""
        try:
            while data := await asyncio.wait_for(self.reader.read(65536), 10):
                self.replies.feed(data)
        except ConnectionResetError:
            return

    async def publish(self, key: str = KEY) -> None:
        """From the first byte to "publish ok"."""
        await self.send(HELLO + CONNECT + CREATE_STREAM + publish(key))
        await self.wait_for_code("NetStream.Publish.Start")


@asynccontextmanager
async def encoder(port: int, host: str = "127.0.0.1") -> AsyncIterator[Encoder]:
    """An open connection to the server."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield Encoder(reader, writer)
    finally:
        writer.transport.abort()
