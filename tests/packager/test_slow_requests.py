"""Connections that send no request, or never the rest of one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from packager.anywhere import SESSIONS
from tests.packager.held import NewServer, request
from tests.packager.helpers import Writer, until

IDLE_S = 0.5


async def closed(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(20):
        assert await reader.read() == b""


@pytest.mark.parametrize("first", [b"", b"G", request("720p/init-0.mp4")[:-2]])
async def test_a_connection_that_sends_no_whole_request_is_closed(
    tmp_path: Path, new_server: NewServer, first: bytes
) -> None:
    server = await new_server(idle_s=IDLE_S)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.runner.addresses[0][1])
    writer.write(first)
    await closed(reader)


async def test_bytes_that_trickle_in_win_no_time(tmp_path: Path, new_server: NewServer) -> None:
    server = await new_server(idle_s=IDLE_S)
    Writer(tmp_path).parts(1)
    connection = await server.connect()
    asked_s = asyncio.get_running_loop().time()

    async def trickle() -> None:
        for byte in request("720p/init-0.mp4" + "?" * 4000):
            connection.ask(bytes([byte]))
            await asyncio.sleep(0.05)

    trickling = asyncio.create_task(trickle())
    await closed(connection.reader)
    assert asyncio.get_running_loop().time() - asked_s >= IDLE_S * 0.9
    trickling.cancel()


async def test_who_waits_for_an_answer_is_not_hurried(tmp_path: Path, new_server: NewServer) -> None:
    server, writer = await new_server(idle_s=IDLE_S), Writer(tmp_path)
    writer.parts(5)
    waiting = [await server.hold("720p/1.1.m4s"), await server.hold("720p/1.1.m4s", b"Host: a\r\nRange: bytes=0-\r\n")]
    idle = await server.connect()
    await closed(idle.reader)
    writer.parts(1)
    for connection in waiting:
        assert (await connection.answer()).endswith(b"msn 1 part 1;")
    await until(lambda: server.app[SESSIONS].held_requests == 0)
