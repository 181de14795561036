"""100 connections to the RTMP port that shake hands and then say nothing: memory and CPU of the ingest process."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import psutil

from benchmarks.cpu import cpu_seconds_of
from benchmarks.ingest_process import ingest_process
from benchmarks.report import Figure
from tests.rtmp.wire import HELLO, SERVER_HELLO_BYTES

CONNECTIONS = 100
_PER_ADDRESS = 20
_WATCH_S = 6.0
"""Below the time after which such a connection is closed."""


async def run(directory: Path, quick: bool) -> list[Figure]:
    """A hundred connections, held. The same hundred before them warm the process up."""
    async with ingest_process("rtmp", "payloads") as (pid, port):
        process = psutil.Process(pid)
        for sock in await asyncio.to_thread(_connect_all, port):
            sock.close()
        await asyncio.sleep(1)
        before_bytes = process.memory_full_info().uss
        idle_s = await _cpu_s(pid)
        socks = await asyncio.to_thread(_connect_all, port)
        await asyncio.sleep(0.5)
        held_bytes = process.memory_full_info().uss - before_bytes
        held_s = await _cpu_s(pid)
        for sock in socks:
            if not _is_open(sock):
                raise RuntimeError("a connection was closed while it was watched")
            sock.close()
    cpu_ms = (held_s - idle_s) * 1000 / _WATCH_S
    return [
        Figure(name="100 idle strangers, memory", value=held_bytes / 1e6, unit="MB", at_most=1.0),
        Figure(name="100 idle strangers, CPU per second", value=cpu_ms, unit="ms", at_most=0.5),
    ]


async def _cpu_s(pid: int) -> float:
    before_s = cpu_seconds_of([pid])
    await asyncio.sleep(_WATCH_S)
    return cpu_seconds_of([pid]) - before_s


def _connect_all(port: int) -> list[socket.socket]:
    return [_connect(port, f"127.0.0.{1 + number // _PER_ADDRESS}") for number in range(CONNECTIONS)]


def _connect(port: int, source_address: str) -> socket.socket:
    """One address may not have so many."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source_address, 0))
    sock.sendall(HELLO)
    left = SERVER_HELLO_BYTES
    while left:
        left -= len(sock.recv(left))
    return sock


def _is_open(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(1) != b""
    except BlockingIOError:
        return True
