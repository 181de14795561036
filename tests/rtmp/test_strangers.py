"""What those may cost who have not shown a key, over RTMP."""

from __future__ import annotations

import asyncio

import psutil
import pytest
from structlog.testing import capture_logs

from ingest.rtmp import flv
from ingest.rtmp.server import RtmpServer
from tests.rtmp.fakes import KEY, QUICK, FakeAdmission, encoder, listening
from tests.rtmp.test_server import BAD_NAME, OPENING, only
from tests.rtmp.wire import CONNECT, CREATE_STREAM, HELLO, media, publish


async def test_too_many_connections_from_one_address() -> None:
    async with (
        listening(unauthenticated_connections_per_ip=2) as server,
        encoder(server.port) as first,
        encoder(server.port) as second,
    ):
        await first.send(HELLO + CONNECT)
        await first.wait_for_code("NetConnection.Connect.Success")
        await second.send(HELLO + CONNECT)
        await second.wait_for_code("NetConnection.Connect.Success")
        with capture_logs() as logs:
            async with encoder(server.port) as third:
                await third.wait_for_end()
        assert only(logs, "rtmp_connection_refused")["reason"] == "too_many_connections"
        # A key makes room: who publishes is a stranger no more.
        await first.send(CREATE_STREAM + publish(KEY))
        await first.wait_for_code("NetStream.Publish.Start")
        async with encoder(server.port) as fourth:
            await fourth.send(HELLO + CONNECT)
            await fourth.wait_for_code("NetConnection.Connect.Success")


async def test_an_address_that_guesses_keys_is_slowed() -> None:
    async with listening(failures_per_ip=3, failures_per_ip_per_s=0.0) as server, encoder(server.port) as publisher:
        await publisher.publish()
        with capture_logs() as logs:
            for number in range(3):
                async with encoder(server.port) as guess:
                    await guess.send(HELLO + CONNECT + CREATE_STREAM + publish(f"sk_guess{number}"))
                    await guess.wait_for_end()
                    assert guess.replies.codes[-1] == BAD_NAME
            async with encoder(server.port) as right:
                await right.send(OPENING)
                await right.wait_for_end()
                assert right.replies.codes == []
        assert only(logs, "address_slowed")["remote_ip"] == "127.0.0.1"
        assert [line["reason"] for line in logs if "reason" in line][-1] == "too_many_failures"
        assert server.admission.requests.qsize() == 4  # nobody was asked about the last one
        # Who publishes is not touched.
        sink = await server.admission.sink()
        await publisher.send(media(9, 0, b"v"))
        await sink.wait_for(len(flv.FILE_HEADER) + 1)


async def test_a_probe_and_a_refusal_that_passes_are_no_failures() -> None:
    async with listening(failures_per_ip=1, failures_per_ip_per_s=0.0) as server:
        async with encoder(server.port):
            pass  # as the health check of a load balancer does
        async with encoder(server.port) as first, encoder(server.port) as second:
            await first.publish()
            await second.send(OPENING)
            await second.wait_for_code(BAD_NAME)
        async with encoder(server.port) as third:
            await third.publish()


async def test_a_flood_is_no_flood_of_lines() -> None:
    async with listening(failures_per_ip=5, failures_per_ip_per_s=0.0) as server:
        with capture_logs() as logs:
            for _ in range(20):
                async with encoder(server.port) as stranger:
                    await stranger.send(b"GET / HTTP/1.1")
                    await stranger.wait_for_end()
        assert sum(line["log_level"] == "warning" for line in logs) == 5 + 1  # and that the address is slowed


async def test_five_hundred_strangers_leave_nothing_behind() -> None:
    ways = (b"GET / HTTP/1.1", HELLO[:900], HELLO + CONNECT, HELLO + b"\xff" * 300, OPENING.replace(b"right", b"wrong"))
    process = psutil.Process()

    async def come_and_go(port: int, data: bytes) -> None:
        async with encoder(port) as stranger:
            await stranger.send(data)

    limits = {"failures_per_ip": 10**6, "unauthenticated_connections_per_ip": 100}
    with capture_logs():
        async with listening(**limits) as server:
            await asyncio.gather(*(come_and_go(server.port, data) for data in ways))
            before = process.num_fds(), process.num_threads()
            before_bytes = process.memory_info().rss
            for _ in range(20):
                await asyncio.gather(*(come_and_go(server.port, data) for data in ways * 5))
            async with asyncio.timeout(10):
                while server.server.connections or process.num_fds() > before[0]:  # noqa: ASYNC110 (of the system's)
                    await asyncio.sleep(0.02)
            assert process.num_threads() == before[1]
            assert process.memory_info().rss - before_bytes < 4 * 1024 * 1024


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_one_port_takes_ipv4_and_ipv6(host: str) -> None:
    admission = FakeAdmission()
    server = RtmpServer(admission, QUICK)
    port = await server.start("::", 0)
    async with encoder(port, host) as publisher:
        await publisher.publish()
        request = await admission.requests.get()
        assert request.remote_address.startswith("[::1]:" if host == "::1" else "127.0.0.1:")
    await server.close()
