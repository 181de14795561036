"""What callers may cost: limits inside and after the handshake, over libsrt itself."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from config.limits import LIMITS
from ingest.srt.directory import KeyDirectory
from ingest.srt.handshakes import Doorkeeper
from ingest.srt.libsrt import library
from ingest.srt.listener import Listener
from tests.rtmp.fakes import KEY
from tests.srt.caller import Rejected, calling
from tests.srt.fakes import listening

NO_SECRET = 11
BACKLOG_FULL = 5
OVERLOAD = 1402


async def refusal(port: int, stream_id: str) -> int:
    """The code with which a caller is refused."""
    with pytest.raises(Rejected) as refused:
        async with calling(port, stream_id):
            pass
    return refused.value.code


async def test_handshakes_of_an_address_are_limited() -> None:
    async with listening(srt_handshakes_per_ip_per_s=2.0) as server:
        assert [await refusal(server.port, "sk_wrong") for _ in range(2)] == [NO_SECRET] * 2
        assert await refusal(server.port, KEY) == OVERLOAD


async def test_an_address_that_guesses_keys_is_slowed() -> None:
    async with listening(failures_per_ip=3, failures_per_ip_per_s=0.0) as server:
        assert [await refusal(server.port, f"sk_guess{number}") for number in range(3)] == [NO_SECRET] * 3
        assert await refusal(server.port, KEY) == OVERLOAD


async def test_guesses_count_as_well_while_the_directory_is_unsure() -> None:
    async with listening(sure=False, failures_per_ip=2, failures_per_ip_per_s=0.0) as server:
        for number in range(2):
            async with calling(server.port, f"sk_guess{number}") as guess:
                await guess.wait_for_end()
        assert await refusal(server.port, KEY) == OVERLOAD


async def test_callers_without_a_decision_are_limited_by_address() -> None:
    async with listening(sure=False, unauthenticated_connections_per_ip=2) as server, AsyncExitStack() as stack:
        server.admission.gate.clear()
        waiting = [await stack.enter_async_context(calling(server.port, KEY)) for _ in range(2)]
        for _ in waiting:
            await server.admission.requests.get()
        assert await refusal(server.port, KEY) == OVERLOAD
        assert all(caller.connected for caller in waiting)
        server.admission.gate.set()
        await server.admission.sink()


async def test_the_backlog_is_bounded() -> None:
    library().srt_startup()
    listener = Listener(Doorkeeper(KeyDirectory("node_here", lambda _: False), LIMITS), replace(LIMITS, srt_backlog=2))
    port = listener.open("127.0.0.1", 0, latency_ms=20, passphrase=None)
    try:
        async with calling(port, KEY), calling(port, KEY):  # nobody accepts them
            assert await refusal(port, KEY) == BACKLOG_FULL
    finally:
        await asyncio.to_thread(listener.close)
        await asyncio.to_thread(library().srt_cleanup)


async def test_a_caller_that_leaves_before_it_is_read_leaves_nothing() -> None:
    async with listening() as server:
        server.admission.gate.clear()
        async with calling(server.port, KEY):
            await server.admission.requests.get()
        server.admission.gate.set()
        sink = await server.admission.sink()
        assert await asyncio.wait_for(sink.closed, 10) == "clean"
        assert server.server.connections == ()
