from __future__ import annotations

import asyncio
import socket

from ingest.handoff import Handoff

LIMIT_BYTES = 256 * 1024


class Reader:
    """The worker's end of a media socket."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.theirs.setblocking(False)
        self.failures: list[str] = []
        self.handoff = Handoff(self.ours, LIMIT_BYTES, self.failures.append)

    async def read_to_end(self) -> bytes:
        data = bytearray()
        while chunk := await asyncio.get_running_loop().sock_recv(self.theirs, 65536):
            data += chunk
        return bytes(data)


async def test_tags_arrive_whole_and_in_order_however_slow_the_reader_is() -> None:
    reader = Reader()
    tags = [bytes([index]) * (1 + index * 37) for index in range(80)]
    for tag in tags:
        reader.handoff.write([tag[:1], memoryview(tag)[1:], b"|"])
    reader.handoff.close()
    assert await reader.read_to_end() == b"".join(tag + b"|" for tag in tags)
    assert reader.failures == []


async def test_buffers_may_be_reused_after_a_write() -> None:
    reader = Reader()
    shared = bytearray(b"x" * 50_000)
    reader.handoff.write([memoryview(shared)])
    shared[:] = b"y" * len(shared)
    reader.handoff.close()
    assert await reader.read_to_end() == b"x" * 50_000


async def test_a_reader_that_does_not_read_ends_the_connection_once() -> None:
    reader = Reader()
    for _ in range(20):
        reader.handoff.write([b"x" * 60_000])
    assert reader.failures == ["overflow"]
    data = await reader.read_to_end()
    assert len(data) <= LIMIT_BYTES


async def test_a_reader_that_is_gone_ends_the_connection_once() -> None:
    reader = Reader()
    reader.theirs.close()
    reader.handoff.write([b"x"])
    reader.handoff.write([b"x"])
    reader.handoff.close()
    assert reader.failures == ["worker_gone"]


async def test_closing_is_idempotent() -> None:
    reader = Reader()
    reader.handoff.close()
    reader.handoff.close()
    reader.handoff.write([b"late"])
    assert await reader.read_to_end() == b""
    assert reader.failures == []
