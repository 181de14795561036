"""What a fault in a session does to its worker: it is told, and nothing else happens."""

from __future__ import annotations

import asyncio
import socket

import pytest

from config.session import Container, Stats
from transcode.media_reader import MediaReader, Shared
from transcode.units import BadMedia, UnsupportedCodec


class FaultySession:
    """A session that raises whatever it is given for its first bytes."""

    congested = False

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.is_disconnected = False

    def connected(self, container: Container) -> None: ...

    def feed(self, data: memoryview) -> None:
        raise self._error

    def disconnected(self) -> None:
        self.is_disconnected = True

    def stats(self, cpu_s: float) -> Stats:
        raise NotImplementedError

    def end(self, *, final: bool = True) -> None: ...


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnsupportedCodec("the video codec VP6"), "unsupported_codec"),
        (BadMedia("no FLV"), "bad_media"),
        (ZeroDivisionError("a fault of ours"), "pipeline_failed"),
    ],
)
async def test_what_a_session_can_not_take_is_told_and_ends_its_connection(error: Exception, code: str) -> None:
    ours, theirs = socket.socketpair()
    told: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
    session = FaultySession(error)
    MediaReader(theirs, "se_x", session, lambda *failure: told.set_result(failure), Shared())
    with ours:
        ours.sendall(b"FLV")
        async with asyncio.timeout(5):
            found = await told
        assert found[0] == code and str(error) in found[1]
        ours.settimeout(5)
        assert await asyncio.to_thread(ours.recv, 1) == b""
    assert not session.is_disconnected
