"""The listener against callers on libsrt."""

from __future__ import annotations

import asyncio
import random
import socket
import threading

import psutil
import pytest
from structlog.testing import capture_logs

import ingest.srt.server
import ingest.srt.unfinished
from ingest.admission import CLEAN
from ingest.srt.libsrt import LibraryMissing, SrtError, library, socket_address
from ingest.srt.unfinished import Unfinished
from tests.rtmp.fakes import KEY
from tests.srt.caller import (
    FILE_MODE,
    KEY_LENGTH_BYTES,
    MESSAGE,
    TRANSMISSION_TYPE,
    TS_PACKET,
    Rejected,
    calling,
)
from tests.srt.fakes import Listening, listening

PASSPHRASE = "correct horse battery"
BAD_SECRET, NO_SECRET = 10, 11


async def deliver(server: Listening, sink_index: int, stream_id: str, **options: object) -> bytes:
    """Connect, send until something arrives, and return what has arrived."""
    async with calling(server.port, stream_id, **options) as caller:  # type: ignore[arg-type]
        sink = await server.admission.sink(sink_index)
        for _ in range(5):
            await caller.send()
        await sink.wait_for(5 * len(MESSAGE))
    assert await asyncio.wait_for(sink.closed, 10) == CLEAN
    return bytes(sink.received)


@pytest.mark.parametrize(
    "stream_id", [f"#!::r=live/{KEY},m=publish", f"live/{KEY}", KEY, f"%23!%3A%3Ar%3Dlive%2F{KEY}%2Cm%3Dpublish"]
)
async def test_what_a_caller_sends_arrives_whole(stream_id: str) -> None:
    async with listening() as server:
        assert await deliver(server, 0, stream_id) == MESSAGE * 5
        request = server.admission.requests.get_nowait()
        assert (request.protocol, request.key) == ("srt", KEY)
        assert request.remote_address.startswith("127.0.0.1:")
        assert request.encoder.startswith("libsrt 1.")


async def test_messages_of_any_size_become_whole_ts_packets() -> None:
    async with listening() as server, calling(server.port, KEY) as caller:
        sink = await server.admission.sink()
        sizes: list[int] = []
        sink.on_write = lambda: sizes.append(len(sink.received))
        stream = bytes(random.Random(5).randbytes(188 * 30))
        for start in range(0, len(stream), 1000):
            await caller.send(stream[start : start + 1000])
        await sink.wait_for(len(stream))
        assert bytes(sink.received) == stream
        assert all(size % len(TS_PACKET) == 0 for size in sizes)


@pytest.mark.parametrize(
    ("stream_id", "code"),
    [
        ("#!::r=live/sk_wrong,m=publish", NO_SECRET),
        ("sk_wrong", NO_SECRET),
        ("", 1400),
        (f"other/{KEY}", 1400),
        (f"#!::r=live/{KEY},m=request", 1405),
        (f"#!::r=live/{KEY},m=publish,t=file", 1415),
        ("sk_" + "x" * 509, NO_SECRET),
        (b"\xff\xfe" * 250, NO_SECRET),
    ],
)
async def test_a_caller_is_refused_inside_the_handshake_with_a_reason(stream_id: str | bytes, code: int) -> None:
    async with listening() as server:
        with capture_logs() as logs, pytest.raises(Rejected) as refused:
            async with calling(server.port, stream_id):
                pass
        assert refused.value.code == code
        assert server.admission.requests.empty()
        await asyncio.sleep(0)
    assert "sk_wrong" not in str(logs)


async def test_a_wrong_key_is_a_bad_secret_whatever_the_passphrase() -> None:
    async with listening(passphrase=PASSPHRASE) as server:
        for passphrase, code in ((PASSPHRASE, BAD_SECRET), (None, NO_SECRET)):
            with pytest.raises(Rejected) as refused:
                async with calling(server.port, "sk_wrong", passphrase=passphrase):
                    pass
            assert refused.value.code == code
        assert server.admission.requests.empty() and server.server.connections == ()


async def test_a_second_caller_is_refused_while_the_first_publishes() -> None:
    async with listening() as server, calling(server.port, KEY) as first:
        sink = await server.admission.sink()
        with pytest.raises(Rejected) as refused:
            async with calling(server.port, KEY):
                pass
        assert refused.value.code == 1409
        await first.send()
        await sink.wait_for(len(MESSAGE))


async def test_while_the_directory_is_unsure_a_caller_is_checked_after_the_handshake() -> None:
    async with listening(sure=False) as server:
        assert await deliver(server, 0, KEY) == MESSAGE * 5
        with capture_logs() as logs:
            async with calling(server.port, "sk_wrong") as wrong:
                await wrong.wait_for_end()
        assert [line["reason"] for line in logs] == ["wrong_key"]
        assert "sk_wrong" not in str(logs)


@pytest.mark.parametrize("key_length_bytes", [16, 32], ids=["AES-128", "AES-256"])
async def test_the_right_passphrase_is_needed(key_length_bytes: int) -> None:
    async with listening(passphrase=PASSPHRASE) as server:
        options = {KEY_LENGTH_BYTES: key_length_bytes}
        assert await deliver(server, 0, KEY, passphrase=PASSPHRASE, options=options) == MESSAGE * 5
        for passphrase, code in (("wrong horse battery", 10), (None, 11)):
            with pytest.raises(Rejected) as refused:
                async with calling(server.port, KEY, passphrase=passphrase):
                    pass
            assert refused.value.code == code
        assert len(server.admission.sinks) == 1


async def test_a_caller_that_libsrt_refuses_by_itself_leaves_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.srt.unfinished, "_DUE_S", 0.0)
    monkeypatch.setattr(ingest.srt.server, "_MEDIA_CHECK_S", 0.05)
    with capture_logs() as logs:
        async with listening(passphrase=PASSPHRASE) as server:
            with pytest.raises(Rejected):
                async with calling(server.port, KEY, passphrase="wrong horse battery"):
                    pass
            async with asyncio.timeout(20):
                while not logs:  # noqa: ASYNC110 (the line comes from another thread's news)
                    await asyncio.sleep(0.01)
    (line,) = logs
    assert (line["event"], line["reason"]) == ("srt_handshake_rejected", "handshake_failed")
    assert line["remote_address"].startswith("127.0.0.1:")


def test_who_finishes_in_time_has_not_failed() -> None:
    unfinished = Unfinished()
    for number in range(2000):
        unfinished.let_in(f"198.51.100.1:{number}", 10.0)
    unfinished.finished("198.51.100.1:0")
    assert unfinished.failed(12.9) == []
    assert unfinished.failed(13.0) == [f"198.51.100.1:{number}" for number in range(1, 1000)]
    assert unfinished.failed(99.0) == []


async def test_a_passphrase_that_nobody_asked_for_is_refused() -> None:
    async with listening() as server:
        with pytest.raises(Rejected) as refused:
            async with calling(server.port, KEY, passphrase=PASSPHRASE):
                pass
        assert refused.value.code == 11


async def test_file_mode_is_refused() -> None:
    async with listening() as server:
        with pytest.raises(Rejected) as refused:
            async with calling(server.port, KEY, options={TRANSMISSION_TYPE: FILE_MODE}):
                pass
        assert refused.value.code in (12, 13)  # message API, congestion control: both are those of files
        assert server.admission.sinks == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_one_port_takes_ipv4_and_ipv6(host: str) -> None:
    async with listening("::") as server:
        assert await deliver(server, 0, KEY, host=host) == MESSAGE * 5
        address = server.admission.requests.get_nowait().remote_address
        assert address.startswith("[::1]:" if host == "::1" else "127.0.0.1:")


async def test_a_caller_that_never_sends_is_cut() -> None:
    async with listening(no_media_s=0.5) as server, calling(server.port, KEY) as caller:
        sink = await server.admission.sink()
        assert await asyncio.wait_for(sink.closed, 10) == "no_media"
        await caller.wait_for_end()


async def test_a_caller_whose_packets_stop_is_lost_after_the_idle_time() -> None:
    async with listening(srt_peer_idle_s=1.0) as server:
        relay = await Relay.start(server.port)
        async with calling(relay.port, KEY) as caller:
            sink = await server.admission.sink()
            await caller.send()
            await sink.wait_for(len(MESSAGE))
            relay.close()
            assert await asyncio.wait_for(sink.closed, 15) == "peer_lost"


class Relay(asyncio.DatagramProtocol):
    """A network between one caller and the server, which can go away."""

    def __init__(self, server_port: int) -> None:
        self._server = ("127.0.0.1", server_port)
        self._caller: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    @classmethod
    async def start(cls, server_port: int) -> Relay:
        loop = asyncio.get_running_loop()
        transport, relay = await loop.create_datagram_endpoint(lambda: cls(server_port), local_addr=("127.0.0.1", 0))
        relay._transport = transport
        relay.port = transport.get_extra_info("sockname")[1]
        return relay

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        if addr == self._server:
            if self._caller is not None:
                self._transport.sendto(data, self._caller)
        else:
            self._caller = addr
            self._transport.sendto(data, self._server)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def test_the_stream_can_cut_its_caller() -> None:
    async with listening() as server, calling(server.port, KEY) as caller:
        sink = await server.admission.sink()
        sink.connection.close("key_rotated")
        assert await asyncio.wait_for(sink.closed, 10) == "key_rotated"
        await caller.wait_for_end()


async def test_a_sink_that_fails_ends_its_own_caller_and_no_other() -> None:
    async with listening() as server, calling(server.port, KEY) as caller:
        sink = await server.admission.sink()

        secret = "sk_" + "secret"

        def fail() -> None:
            raise RuntimeError(secret)

        sink.on_write = fail
        with capture_logs() as logs:
            await caller.send()
            assert await asyncio.wait_for(sink.closed, 10) == "internal_error"
        assert "sk_secret" not in str(logs)
        await caller.wait_for_end()
        assert await deliver(server, 1, KEY) == MESSAGE * 5


async def test_a_shutdown_says_goodbye_to_everybody() -> None:
    async with listening() as server, calling(server.port, KEY) as caller:
        sink = await server.admission.sink()
        await server.server.close()
        assert await asyncio.wait_for(sink.closed, 10) == "shutdown"
        await caller.wait_for_end()


async def test_random_datagrams_disturb_nobody() -> None:
    async with listening() as server, calling(server.port, KEY) as caller:
        sink = await server.admission.sink()
        noise = random.Random(7)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(3000):
                # Half of them look like SRT control packets, a handshake among them.
                start = b"" if noise.random() < 0.5 else bytes([0x80, noise.randrange(8), 0, 0])
                sender.sendto(start + noise.randbytes(noise.randrange(1, 200)), ("127.0.0.1", server.port))
        await caller.send()
        await sink.wait_for(len(MESSAGE))
        assert len(server.server.connections) == 1


async def test_statistics_are_kept() -> None:
    async with listening() as server, calling(server.port, KEY) as caller:
        sink = await server.admission.sink()
        await caller.send()
        await sink.wait_for(len(MESSAGE))
        async with asyncio.timeout(10):
            while (stats := server.server.connections[0].stats) is None:  # noqa: ASYNC110 (comes from a thread)
                await asyncio.sleep(0.02)
        assert stats.packets >= 1
        assert stats.rtt_ms > 0
        assert (stats.lost_packets, stats.dropped_packets, stats.undecrypted_packets) == (0, 0, 0)


async def test_a_hundred_connections_leave_nothing_behind() -> None:
    async with listening() as server:
        await deliver(server, 0, KEY)
        process = psutil.Process()

        def held() -> tuple[int, int]:
            return process.num_fds(), process.num_threads()

        before = held()
        for number in range(1, 101):
            async with calling(server.port, KEY):
                sink = await server.admission.sink(number)
            await asyncio.wait_for(sink.closed, 10)
        # libsrt keeps closed sockets for a moment.
        async with asyncio.timeout(20):
            while held()[0] > before[0] + 2 or held()[1] > before[1] + 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert not [thread for thread in threading.enumerate() if thread.name == "srt"]


async def test_a_port_in_use_is_an_error_that_names_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with listening() as server:
            with pytest.raises(SrtError, match=str(port)):
                await type(server.server)(server.admission, server.directory).start("127.0.0.1", port)


def test_addresses_are_packed_for_the_system() -> None:
    assert len(socket_address("127.0.0.1", 9000)) == 16
    assert len(socket_address("::1", 9000)) == 28


def test_the_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    library.cache_clear()
    monkeypatch.setattr("ingest.srt.libsrt.SONAMES", ("libnothing.so.0",))
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    try:
        with pytest.raises(LibraryMissing, match=r"libsrt1\.5-openssl"):
            library()
    finally:
        library.cache_clear()
