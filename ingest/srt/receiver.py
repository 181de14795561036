"""The one thread that reads all SRT connections and hands what it read to the event loop, in batches.

A wake-up per packet would cost more than the packets: after each round the thread rests, and libsrt keeps what arrives.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from config.limits import IngestLimits
from ingest.srt import libsrt
from ingest.srt.abi import EPOLL_ENABLE_EMPTY, EPOLL_ERR, EPOLL_IN, MAX_MESSAGE_BYTES, NO_DATA_YET, SocketState
from ingest.srt.libsrt import SrtError, check, ffi, last_error
from ingest.srt.listener import Listener
from ingest.srt.stats import SrtStats, StatsReader

log = structlog.get_logger()

_ROUND_S = 0.010
_IDLE_MS = 25
_ALONE_MS = 100
_SWEEP_S = 1.0
_EVENTS = 256
_MESSAGES_PER_ROUND = 512


@dataclass(frozen=True, slots=True)
class Accepted:
    """A caller whose handshake is over. Nothing is read from it before `Receiver.read`."""

    u: int
    ip: str
    remote_address: str
    raw_stream_id: bytes = field(repr=False)
    peer_version: str


@dataclass(slots=True)
class Batch:
    """What one round has brought. The media come before the ends."""

    accepted: list[Accepted] = field(default_factory=list)
    media: list[tuple[int, bytes]] = field(default_factory=list)
    stats: list[tuple[int, SrtStats]] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.accepted or self.media or self.stats or self.ended)


class Receiver:
    """Owns the listener's and the callers' sockets. `on_batch` is called on the event loop."""

    def __init__(self, listener: Listener, limits: IngestLimits, on_batch: Callable[[Batch], None]) -> None:
        self._library = libsrt.library()
        self._listener = listener
        self._limits = limits
        self._on_batch = on_batch
        self._loop = asyncio.get_running_loop()
        self._stats = StatsReader()
        self._commands: deque[tuple[Callable[[int, Batch], None], int]] = deque()
        self._sockets: dict[int, bool] = {}  # whether it is read
        self._posted_bytes = 0
        self._taken_bytes = 0
        self._stopping = False
        self._buffer = bytearray(_MESSAGES_PER_ROUND * MAX_MESSAGE_BYTES)
        self._pointer = ffi.from_buffer("char[]", self._buffer)
        self._events = ffi.new("SRT_EPOLL_EVENT[]", _EVENTS)
        self._eid = check("epoll_create", self._library.srt_epoll_create())
        self._library.srt_epoll_set(self._eid, EPOLL_ENABLE_EMPTY)
        self._watch(listener.u)
        self._thread = threading.Thread(target=self._run, name="srt", daemon=True)
        self._thread.start()

    def read(self, u: int) -> None:
        """Begin to read this caller."""
        self._commands.append((self._read, u))

    def close_socket(self, u: int) -> None:
        """Close this caller's connection; nothing more comes of it but what is on its way."""
        self._commands.append((self._close, u))

    def stop(self) -> None:
        """Close the listener and all connections, and end the thread. Blocks until that is done."""
        self._stopping = True
        self._thread.join()

    def _run(self) -> None:
        swept_s = time.monotonic()
        while not self._stopping:
            # Without a caller nobody has a command for us, and a new one is an event.
            wait_ms = _IDLE_MS if self._sockets else _ALONE_MS
            ready = self._library.srt_epoll_uwait(self._eid, self._events, _EVENTS, wait_ms)
            round_s = time.monotonic()
            batch = Batch()
            try:
                while self._commands:
                    command, u = self._commands.popleft()
                    command(u, batch)
                if self._posted_bytes - self._taken_bytes < self._limits.bytes_in_flight:
                    for index in range(max(0, ready)):
                        self._on_event(self._events[index].fd, batch)
                if round_s - swept_s >= _SWEEP_S:
                    swept_s = round_s
                    self._sweep(batch)
            except Exception as error:  # the text is left out: it may quote what a caller sent
                log.error("srt_internal_error", error=type(error).__name__)
            if batch:
                self._posted_bytes += sum(len(data) for _, data in batch.media)
                self._loop.call_soon_threadsafe(self._deliver, batch)
            if ready:
                time.sleep(max(0.0, _ROUND_S - (time.monotonic() - round_s)))
        self._shut()

    def _deliver(self, batch: Batch) -> None:
        self._taken_bytes += sum(len(data) for _, data in batch.media)
        self._on_batch(batch)

    def _on_event(self, u: int, batch: Batch) -> None:
        if u == self._listener.u:
            while (caller := libsrt.accept(u)) is not None:
                self._accept(*caller, batch)
        elif u in self._sockets:
            self._receive(u, batch)

    def _accept(self, u: int, ip: str, remote_address: str, batch: Batch) -> None:
        self._sockets[u] = False
        try:
            batch.accepted.append(Accepted(u, ip, remote_address, libsrt.stream_id(u), libsrt.peer_version(u)))
        except SrtError:  # gone already
            self._close(u, batch)

    def _receive(self, u: int, batch: Batch) -> None:
        receive, pointer, size_bytes = self._library.srt_recvmsg, self._pointer, 0
        ended = False
        for _ in range(_MESSAGES_PER_ROUND):
            got_bytes = receive(u, pointer + size_bytes, MAX_MESSAGE_BYTES)
            if got_bytes <= 0:
                ended = got_bytes < 0 and last_error("recvmsg").code != NO_DATA_YET
                break
            size_bytes += got_bytes
        if size_bytes:
            batch.media.append((u, bytes(memoryview(self._buffer)[:size_bytes])))
        if ended:
            self._end(u, batch)

    def _read(self, u: int, batch: Batch) -> None:
        if u in self._sockets:
            self._sockets[u] = True
            self._watch(u)
            # A caller that left before this raises no event any more.
            self._check(u, batch)

    def _sweep(self, batch: Batch) -> None:
        for u, is_read in list(self._sockets.items()):
            if is_read and (stats := self._stats.read(u)) is not None:
                batch.stats.append((u, stats))
            self._check(u, batch)

    def _check(self, u: int, batch: Batch) -> None:
        if self._library.srt_getsockstate(u) != SocketState.CONNECTED:
            if self._sockets[u]:
                self._receive(u, batch)
            if u in self._sockets:
                self._end(u, batch)

    def _end(self, u: int, batch: Batch) -> None:
        if (stats := self._stats.read(u)) is not None:
            batch.stats.append((u, stats))
        batch.ended.append(u)
        self._close(u, batch)

    def _close(self, u: int, batch: Batch) -> None:
        is_read = self._sockets.pop(u, None)
        if is_read:
            self._library.srt_epoll_remove_usock(self._eid, u)
        if is_read is not None:
            self._library.srt_close(u)

    def _watch(self, u: int) -> None:
        events = ffi.new("int *", EPOLL_IN | EPOLL_ERR)
        check("epoll_add", self._library.srt_epoll_add_usock(self._eid, u, events))

    def _shut(self) -> None:
        # The listener first: a hook that runs while the library goes down would hang it.
        self._library.srt_epoll_remove_usock(self._eid, self._listener.u)
        self._listener.close()
        for u in list(self._sockets):
            self._close(u, Batch())
        self._library.srt_epoll_release(self._eid)
