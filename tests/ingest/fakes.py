"""Workers and encoder connections that do what a test tells them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from config.limits import LIMITS, IngestLimits
from config.session import Checkpoint, Ended, Failed, Hosting, Live, SessionSpec
from config.settings import Settings
from ingest.admission import MediaSink, PublishRequest
from ingest.broadcasts import Broadcasts
from ingest.workers import WORKER_DIED, OnReport, WorkerPool
from streams.events import StreamEvent, decode_event
from streams.model import Stream
from streams.state import EventType
from streams.store import StreamStore

NODE_ID = "node-test"
QUICK = replace(LIMITS, takeover_silence_s=0.15)


class FakeWorker:
    """Hosts sessions without media: it answers `end` unless it is told to hang."""

    def __init__(self, pid: int = 0) -> None:
        self.pid = pid
        self.specs: list[SessionSpec] = []
        self.checkpoints: list[Checkpoint | None] = []
        self.reports: dict[str, OnReport] = {}
        self.media: list[socket.socket] = []
        self.ended: list[str] = []
        self.dropped: list[str] = []
        self.hangs = False
        self.polls = 0

    def open(self, spec: SessionSpec, on_report: OnReport, checkpoint: Checkpoint | None = None) -> None:
        self.specs.append(spec)
        self.checkpoints.append(checkpoint)
        self.reports[spec.session_id] = on_report

    def take_up(self, session_id: str, on_report: OnReport) -> None:
        self.reports[session_id] = on_report

    def connect(self, session_id: str, connection_id: str, container: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.media.append(theirs)
        return ours

    def end(self, session_id: str) -> None:
        self.ended.append(session_id)
        if not self.hangs:
            asyncio.get_running_loop().call_soon(self.reports[session_id], Ended(session_id=session_id))

    def drop(self, session_id: str) -> None:
        self.dropped.append(session_id)
        asyncio.get_running_loop().call_soon(self.reports[session_id], Ended(session_id=session_id))

    def read_reports(self) -> None:
        self.polls += 1

    @property
    def session_id(self) -> str:
        """The session that was opened last."""
        return self.specs[-1].session_id

    def goes_live(self) -> None:
        self.reports[self.session_id](Live(session_id=self.session_id))

    def fails(self, code: str) -> None:
        """As a real worker: `Failed`, and `Ended` a moment later unless it is dead."""
        self.reports[self.session_id](Failed(session_id=self.session_id, code=code, message="as the test wants"))
        if code != WORKER_DIED:
            self.end(self.session_id)


class FakePool:
    """Gives each session a fake worker."""

    def __init__(self) -> None:
        self.workers: list[FakeWorker] = []
        self.released: list[FakeWorker] = []
        self.given_up: list[FakeWorker] = []
        self.error: Exception | None = None
        self.hosted: dict[str, tuple[FakeWorker, Hosting]] = {}

    async def adopt(self) -> dict[str, tuple[FakeWorker, Hosting]]:
        return self.hosted

    async def worker_for(self, quality: str) -> FakeWorker:
        if self.error is not None:
            raise self.error
        self.workers.append(FakeWorker())
        return self.workers[-1]

    def release(self, worker: FakeWorker) -> None:
        self.released.append(worker)

    def give_up(self, worker: FakeWorker, session_id: str) -> None:
        self.given_up.append(worker)


class FakeConnection:
    """An encoder's connection: closing it closes its sink, as the RTMP server does."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.sink: MediaSink | None = None

    def close(self, reason: str) -> None:
        if not self.closed:
            self.closed.append(reason)
            if self.sink is not None:
                self.sink.close(reason)

    def leave(self, reason: str = "clean") -> None:
        """The encoder goes by itself."""
        assert self.sink is not None
        self.sink.close(reason)

    def send(self, data: bytes = b"tag") -> None:
        assert self.sink is not None
        self.sink.write([data])

    def send_buffers(self, buffers: list[bytes]) -> None:
        """A whole tag, or the file header."""
        assert self.sink is not None
        self.sink.write(buffers)


class OneStreamNode:
    """The broadcasts of one node, and the stream they are asked for."""

    def __init__(self, store: StreamStore, pool: FakePool, broadcasts: Broadcasts, stream: Stream, key: str) -> None:
        self.store = store
        self.pool = pool
        self.broadcasts = broadcasts
        self.stream = stream
        self.key = key

    async def publish(self, key: str | None = None, address: str = "test:1") -> FakeConnection:
        """An encoder's connection that was accepted. Raises `PublishRefused`."""
        connection = FakeConnection()
        request = PublishRequest(
            key=key or self.key, protocol="rtmp", remote_address=address, encoder="test", connection=connection
        )
        connection.sink = await self.broadcasts.publish(request)
        return connection

    @property
    def worker(self) -> FakeWorker:
        """The worker of the latest session."""
        return self.pool.workers[-1]

    async def state(self) -> str:
        found = await self.store.get("default", self.stream.stream_id)
        assert found is not None
        return found.state.value

    async def events(self) -> list[StreamEvent]:
        """The events of its sessions: those after the stream's creation."""
        entries = await self.store.redis.xrange(self.store.keys.events) or []
        events = [decode_event(fields) for _, fields in entries if fields]
        return [event for event in events if event.type is not EventType.CREATED]

    async def wait_for_events(self, *types: str) -> list[StreamEvent]:
        """The events of the stream, once these, and only these, have happened in this order."""
        found: list[StreamEvent] = []

        async def happened() -> bool:
            found[:] = await self.events()
            return [event.type.value.removeprefix("stream.") for event in found] == list(types)

        await wait_until(happened, lambda: f"{types}, found {[event.type.value for event in found]}")
        assert [event.seq for event in found] == list(range(2, len(found) + 2))
        return found


async def wait_until(condition: Callable[[], Any], describe: Callable[[], str], timeout_s: float = 10.0) -> None:
    """Return once the (async) condition holds; fails with the description after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s} s for {describe()}"
        await asyncio.sleep(0.01)


async def new_stream(store: StreamStore, reconnect_window_s: int = 0) -> tuple[Stream, str]:
    """A stream and its key."""
    return await store.create(
        env="default",
        name="show",
        quality="standard",
        low_latency=True,
        recording=False,
        reconnect_window_s=reconnect_window_s,
    )


@asynccontextmanager
async def node_of(
    store: StreamStore,
    media_dir: Path,
    *,
    reconnect_window_s: int = 0,
    retention_s: float = 300,
    limits: IngestLimits = QUICK,
    recover: bool = False,
    clean_stop_ends: bool = False,
    pool: FakePool | None = None,
) -> AsyncIterator[OneStreamNode]:
    """A node with one stream, closed at the end."""
    settings = Settings(media_dir=media_dir, ended_retention_s=retention_s, clean_stop_ends=clean_stop_ends)
    pool = pool or FakePool()
    broadcasts = Broadcasts(store, cast(WorkerPool, pool), settings, limits, NODE_ID)
    if recover:
        await broadcasts.recover()
    stream, key = await new_stream(store, reconnect_window_s)
    try:
        yield OneStreamNode(store, pool, broadcasts, stream, key)
    finally:
        await broadcasts.close()


async def closed(sock: socket.socket) -> bytes:
    """What comes out of the worker's end of a media socket up to its end of file."""
    data = bytearray()
    with suppress(ConnectionResetError):
        while chunk := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 65536), 5):
            data += chunk
    return bytes(data)
