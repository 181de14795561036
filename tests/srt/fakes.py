"""A listening SRT server with a directory and an admission that decide as they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from config.limits import LIMITS
from ingest.srt.directory import KeyDirectory
from ingest.srt.server import SrtServer
from streams.ids import key_hash
from tests.rtmp.fakes import KEY, FakeAdmission


class Listening:
    """The server and what it asks."""

    def __init__(self, admission: FakeAdmission, directory: KeyDirectory, server: SrtServer, port: int) -> None:
        self.admission = admission
        self.directory = directory
        self.server = server
        self.port = port


@asynccontextmanager
async def listening(
    host: str = "127.0.0.1", *, sure: bool = True, passphrase: str | None = None, latency_ms: int = 20, **limits: Any
) -> AsyncIterator[Listening]:
    """A server on a free port that knows one key. `sure` False: its directory does not follow."""
    admission = FakeAdmission()

    def delivering(stream_id: str) -> bool:
        return any(not sink.closed.done() for sink in admission.sinks)

    directory = KeyDirectory("node_here", delivering)
    if sure:
        directory.replace_keys({key_hash(KEY): "ls_test"})
        directory.replace_hosts({})
        directory.following = True
    # Tests call faster than people do.
    server = SrtServer(admission, directory, replace(LIMITS, **{"srt_handshakes_per_ip_per_s": 1000.0, **limits}))
    port = await server.start(host, 0, latency_ms=latency_ms, passphrase=passphrase)
    try:
        yield Listening(admission, directory, server, port)
    finally:
        await server.close()
        assert server.connections == ()
