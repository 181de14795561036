"""The hand-off of media to a session worker: whole tags into a socket, never blocking, never half a tag lost."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence

from ingest.admission import Buffer

OVERFLOW = "overflow"
WORKER_GONE = "worker_gone"


class Handoff:
    """The write end of one connection's media socket.

    What the socket doesn't take at once is copied and kept, up to `limit_bytes`. A reader too slow for that ends the
    connection: `on_failure(OVERFLOW)`; a reader that is gone: `on_failure(WORKER_GONE)`. Either is called once.
    """

    def __init__(self, sock: socket.socket, limit_bytes: int, on_failure: Callable[[str], None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._limit_bytes = limit_bytes
        self._on_failure = on_failure
        self._pending: deque[memoryview] = deque()
        self._pending_bytes = 0
        self._closed = False
        self._closing = False
        self.bytes_written = 0

    @property
    def taken_bytes(self) -> int:
        """All that was given to it."""
        return self.bytes_written + self._pending_bytes

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Hand on whole tags. The buffers may be reused after the call."""
        if self._closed or self._closing:
            return
        sent = 0
        if not self._pending:
            try:
                sent = self._sock.sendmsg(buffers)
            except BlockingIOError:
                pass
            except OSError:
                self._fail(WORKER_GONE)
                return
        self.bytes_written += sent
        if sent == sum(map(len, buffers)):
            return
        for buffer in buffers:
            size_bytes = len(buffer)
            if sent >= size_bytes:
                sent -= size_bytes
                continue
            rest = bytes(memoryview(buffer)[sent:])
            sent = 0
            if not self._pending:
                asyncio.get_running_loop().add_writer(self._sock, self._flush)
            self._pending.append(memoryview(rest))
            self._pending_bytes += len(rest)
        if self._pending_bytes > self._limit_bytes:
            self._fail(OVERFLOW)

    def close(self) -> None:
        """No more media: the reader gets what is pending, then the end of file. Idempotent."""
        self._closing = True
        if not self._pending:
            self._close_socket()

    def _flush(self) -> None:
        try:
            while self._pending:
                sent = self._sock.send(self._pending[0])
                self.bytes_written += sent
                self._pending_bytes -= sent
                if sent < len(self._pending[0]):
                    self._pending[0] = self._pending[0][sent:]
                    return
                self._pending.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._fail(WORKER_GONE)
            return
        asyncio.get_running_loop().remove_writer(self._sock)
        if self._closing:
            self._close_socket()

    def _fail(self, reason: str) -> None:
        if not self._closed:
            self._close_socket()
            self._on_failure(reason)

    def _close_socket(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._pending:
            asyncio.get_running_loop().remove_writer(self._sock)
            self._pending.clear()
        self._sock.close()
