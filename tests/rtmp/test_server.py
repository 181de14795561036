from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingest.admission import PublishRefused, Refusal
from ingest.rtmp import flv
from tests.rtmp.fakes import KEY, Encoder, encoder, listening
from tests.rtmp.wire import CONNECT, CREATE_STREAM, HELLO, command, media, publish

OPENING = HELLO + CONNECT + CREATE_STREAM + publish(KEY)
BAD_NAME = "NetStream.Publish.BadName"
FAILED = "NetStream.Failed"


def tag(tag_type: int, timestamp_ms: int, body: bytes) -> bytes:
    return b"".join(flv.tag(tag_type, timestamp_ms, body))


def only(logs: list[Any], event: str) -> Any:
    """The single line of this event."""
    lines = [line for line in logs if line["event"] == event]
    assert len(lines) == 1, logs
    return lines[0]


async def test_media_reach_the_sink_as_flv() -> None:
    with capture_logs() as logs:
        async with listening() as server, encoder(server.port) as publisher:
            await publisher.publish()
            sink = await server.admission.sink()
            video = bytes(range(256)) * 400
            await publisher.send(media(18, 0, b"\x02\x00\x0aonMetaData\x05") + media(9, 0, video) + media(8, 7, b"a"))
            expected = flv.FILE_HEADER + tag(18, 0, b"\x02\x00\x0aonMetaData\x05") + tag(9, 0, video) + tag(8, 7, b"a")
            await sink.wait_for(len(expected))
            assert sink.received == expected
            await publisher.send(command("deleteStream", 0.0, None, 1.0))
            assert await asyncio.wait_for(sink.closed, 10) == "clean"
            await publisher.wait_for_end()
            request = server.admission.requests.get_nowait()
            assert (request.protocol, request.encoder) == ("rtmp", "test encoder")
            assert request.remote_address.startswith("127.0.0.1:")
    assert only(logs, "rtmp_publisher_connected")["stream_id"] == "ls_test"
    assert only(logs, "rtmp_publisher_left")["reason"] == "clean"
    assert len(logs) == 2
    assert KEY not in str(logs)


async def test_media_sent_before_the_answer_are_not_lost() -> None:
    async with listening() as server, encoder(server.port) as publisher:
        server.admission.gate.clear()
        await publisher.send(OPENING + media(9, 0, b"early"))
        await server.admission.requests.get()
        await publisher.send(media(9, 1, b"later"))
        server.admission.gate.set()
        sink = await server.admission.sink()
        expected = flv.FILE_HEADER + tag(9, 0, b"early") + tag(9, 1, b"later")
        await sink.wait_for(len(expected))
        assert sink.received == expected


async def test_an_encoder_that_is_killed_is_not_a_goodbye() -> None:
    async with listening() as server, encoder(server.port) as publisher:
        await publisher.publish()
        sink = await server.admission.sink()
        publisher.writer.transport.abort()
        assert await asyncio.wait_for(sink.closed, 10) in ("peer_closed", "connection_broken")


async def test_wrong_key() -> None:
    with capture_logs() as logs:
        async with listening() as server, encoder(server.port) as publisher:
            await publisher.send(HELLO + CONNECT + CREATE_STREAM + publish("sk_wrong"))
            await publisher.wait_for_end()
            assert publisher.replies.codes[-1] == BAD_NAME
            assert "NetStream.Publish.Start" not in publisher.replies.codes
    assert only(logs, "rtmp_connection_refused")["reason"] == "wrong_key"
    assert len(logs) == 1
    assert "sk_wrong" not in str(logs)


async def test_second_publisher_is_refused_and_the_first_goes_on() -> None:
    async with listening() as server, encoder(server.port) as first, encoder(server.port) as second:
        await first.publish()
        await second.send(OPENING)
        await second.wait_for_end()
        assert second.replies.codes[-1] == BAD_NAME
        sink = await server.admission.sink()
        await first.send(media(9, 0, b"v"))
        await sink.wait_for(len(flv.FILE_HEADER) + 16)


@pytest.mark.parametrize("refusal", [Refusal.FULL, Refusal.TRY_AGAIN])
async def test_refusals_that_pass(refusal: Refusal) -> None:
    async with listening() as server, encoder(server.port) as publisher:
        server.admission.error = PublishRefused(refusal, "not now")
        server.admission.error.stream_id = "ls_known"
        with capture_logs() as logs:
            await publisher.send(OPENING)
            await publisher.wait_for_end()
        line = only(logs, "rtmp_connection_refused")
        assert (line["reason"], line["detail"], line["stream_id"]) == (refusal.value, "not now", "ls_known")
        info = publisher.replies.commands[-1][3]
        assert (info["code"], info["description"]) == (FAILED, "not now")


BAD_BYTES: list[tuple[str, bytes, str, str]] = [
    ("garbage", b"GET / HTTP/1.1\r\n\r\n", "protocol_error", "RTMP version 71"),
    ("endless amf string", HELLO + media(20, 0, b"\x02\xff\xffx"), "protocol_error", "AMF string of 65535 bytes"),
    ("16 MB message", HELLO + b"\x06\0\0\0\xff\xff\xff\x09\0\0\0\0", "protocol_error", "message of 16777215 bytes"),
    ("player", HELLO + CONNECT + command("play", 2.0, None, KEY), "play", ""),
    ("other app", HELLO + command("connect", 1.0, {"app": KEY}), "unknown_app", ""),
    ("no key", HELLO + CONNECT + publish(""), "no_key", ""),
]


@pytest.mark.parametrize(("data", "reason", "detail"), [r[1:] for r in BAD_BYTES], ids=[r[0] for r in BAD_BYTES])
async def test_bad_bytes_end_their_own_connection_with_one_line(data: bytes, reason: str, detail: str) -> None:
    async with listening() as server, encoder(server.port) as good, encoder(server.port) as bad:
        await good.publish()
        with capture_logs() as logs:
            await bad.send(data)
            await bad.wait_for_end()
        assert len(logs) == 1
        assert only(logs, "rtmp_connection_refused")["reason"] == reason
        assert detail in logs[0].get("detail", "")
        assert KEY not in str(logs)
        sink = await server.admission.sink()
        await good.send(media(9, 0, b"v"))
        await sink.wait_for(len(flv.FILE_HEADER) + 16)


async def test_bad_bytes_of_a_publisher_close_its_sink() -> None:
    with capture_logs() as logs:
        async with listening() as server, encoder(server.port) as publisher:
            await publisher.publish()
            await publisher.send(media(9, 0, b"v") + b"\xff")
            await publisher.wait_for_end()
            sink = await server.admission.sink()
            assert sink.closed.result() == "protocol_error"
            assert sink.received == flv.FILE_HEADER + tag(9, 0, b"v")
    assert "starts without a header" in only(logs, "rtmp_publisher_left")["detail"]


SLOW: list[tuple[str, bytes, str, str]] = [
    ("silence", b"", "handshake_s", "handshake_timeout"),
    ("half a handshake", HELLO[:2000], "handshake_s", "handshake_timeout"),
    ("no connect", HELLO, "connect_to_publish_s", "publish_timeout"),
    ("no publish", HELLO + CONNECT + CREATE_STREAM, "connect_to_publish_s", "publish_timeout"),
    ("no media", OPENING, "no_media_s", "no_media"),
]


@pytest.mark.parametrize(("data", "limit", "reason"), [r[1:] for r in SLOW], ids=[r[0] for r in SLOW])
async def test_time_limits(data: bytes, limit: str, reason: str) -> None:
    with capture_logs() as logs:
        async with listening(**{limit: 0.05}) as server, encoder(server.port) as slow:
            await slow.send(data)
            await slow.wait_for_end()
    assert [line["reason"] for line in logs if "reason" in line] == [reason]


async def test_slowloris_gets_no_more_time_for_each_byte() -> None:
    async with listening(handshake_s=0.2) as server, encoder(server.port) as slow:
        ended = asyncio.create_task(slow.wait_for_end())
        sent = 0
        while not ended.done():
            slow.writer.write(HELLO[:1])
            sent += 1
            await asyncio.wait({ended}, timeout=0.01)
        assert 1 < sent < 1000


async def test_pings_are_no_media() -> None:
    ping = media(4, 0, b"\x00\x06\x00\x00\x00\x01")
    async with listening(no_media_s=0.2) as server, encoder(server.port) as slow:
        await slow.publish()
        ended = asyncio.create_task(slow.wait_for_end())
        while not ended.done():
            slow.writer.write(ping)
            await asyncio.wait({ended}, timeout=0.01)
        assert (await server.admission.sink()).closed.result() == "no_media"


async def test_media_move_the_time_limit() -> None:
    async with listening(no_media_s=0.3) as server, encoder(server.port) as publisher:
        await publisher.publish()
        sink = await server.admission.sink()
        loop = asyncio.get_running_loop()
        end_s = loop.time() + 0.7
        while loop.time() < end_s:
            publisher.writer.write(media(9, 0, b"v"))
            await asyncio.wait({sink.closed}, timeout=0.01)
        assert not sink.closed.done()
        assert await asyncio.wait_for(sink.closed, 10) == "no_media"


async def test_an_admission_that_does_not_answer() -> None:
    async with listening(connect_to_publish_s=0.05) as server, encoder(server.port) as publisher:
        server.admission.gate.clear()
        await publisher.send(OPENING)
        await publisher.wait_for_end()
        assert publisher.replies.codes[-1] == FAILED
        server.admission.gate.set()
        sink = await server.admission.sink()
        assert await asyncio.wait_for(sink.closed, 10) == "admission_timeout"
        assert sink.received == b""


async def test_an_encoder_that_leaves_during_the_decision() -> None:
    async with listening() as server, encoder(server.port) as publisher:
        server.admission.gate.clear()
        await publisher.send(OPENING)
        await server.admission.requests.get()
        publisher.writer.transport.abort()
        server.admission.gate.set()
        sink = await server.admission.sink()
        assert await asyncio.wait_for(sink.closed, 10) in ("peer_closed", "connection_broken")


async def test_the_stream_cuts_the_connection() -> None:
    async with listening() as server, encoder(server.port) as publisher:
        await publisher.publish()
        sink = await server.admission.sink()
        sink.connection.close("key_rotated")
        assert sink.closed.result() == "key_rotated"
        sink.connection.close("again")
        await publisher.wait_for_end()
        assert publisher.replies.codes[-1] == BAD_NAME


async def test_a_sink_that_overflows_gets_nothing_more() -> None:
    async with listening() as server, encoder(server.port) as publisher:
        await publisher.publish()
        sink = await server.admission.sink()
        sink.on_write = lambda: sink.connection.close("overflow")
        await publisher.send(media(9, 0, b"v") * 10)
        await publisher.wait_for_end()
        assert sink.closed.result() == "overflow"
        assert sink.writes == 2
        assert publisher.replies.codes[-1] == FAILED


async def test_a_bug_ends_one_connection_and_tells_no_key() -> None:
    def bug() -> None:
        raise RuntimeError(f"something with {KEY}")

    async with listening() as server, encoder(server.port) as publisher, encoder(server.port) as other:
        await publisher.publish()
        sink = await server.admission.sink()
        sink.on_write = bug
        with capture_logs() as logs:
            await publisher.send(media(9, 0, b"v"))
            await publisher.wait_for_end()
        assert sink.closed.result() == "internal_error"
        assert only(logs, "rtmp_internal_error")["error"] == "RuntimeError"
        assert "in bug" in only(logs, "rtmp_internal_error")["frames"]
        assert only(logs, "rtmp_publisher_left")["reason"] == "internal_error"
        assert KEY not in str(logs)
        await other.publish()


async def test_a_bug_in_the_admission_refuses_the_publisher() -> None:
    async with listening() as server, encoder(server.port) as publisher:
        server.admission.error = RuntimeError(KEY)
        with capture_logs() as logs:
            await publisher.send(OPENING)
            await publisher.wait_for_end()
        assert publisher.replies.codes[-1] == FAILED
        assert KEY not in str(logs)
        assert only(logs, "rtmp_connection_refused")["reason"] == "internal_error"


async def test_a_peer_that_never_reads_is_cut() -> None:
    ping = media(4, 0, b"\x00\x06\x00\x00\x00\x01")
    with capture_logs() as logs:
        async with listening() as server, encoder(server.port) as publisher:
            await publisher.publish()
            sink = await server.admission.sink()
            publisher.reader._transport.pause_reading()  # type: ignore[attr-defined]
            while not sink.closed.done():
                publisher.writer.write(ping * 1000)
                await asyncio.wait({sink.closed}, timeout=0.01)
    assert only(logs, "rtmp_publisher_left")["reason"] == "peer_does_not_read"


async def test_close_says_goodbye_and_leaves_nothing() -> None:
    with capture_logs() as logs:
        async with listening() as server:
            async with encoder(server.port) as publisher, encoder(server.port) as idle:
                await publisher.publish()
                await idle.send(HELLO + CONNECT)
                await idle.wait_for_code("NetConnection.Connect.Success")
                await server.server.close()
                await publisher.wait_for_end()
                await idle.wait_for_end()
                assert publisher.replies.codes[-1] == "NetConnection.Connect.AppShutdown"
                assert (await server.admission.sink()).closed.result() == "shutdown"
            with pytest.raises(ConnectionRefusedError):
                async with encoder(server.port):
                    pass
    assert [line["reason"] for line in logs if "reason" in line] == ["shutdown", "shutdown"]


async def test_close_does_not_wait_for_ever_for_the_admission() -> None:
    async with listening() as server, encoder(server.port) as publisher:
        server.admission.gate.clear()
        await publisher.send(OPENING)
        await server.admission.requests.get()
        await asyncio.wait_for(server.server.close(), 10)
        assert server.server.connections == 0


async def test_many_connections_share_one_buffer_without_mixing() -> None:
    async with listening() as server:
        encoders: list[Encoder] = []
        for index in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            encoders.append(Encoder(reader, writer))
            await encoders[-1].publish()
            sink = await server.admission.sink(index)
            sink.closed.set_result("not a stream of its own")  # lets the next one in
        bodies = [bytes([65 + index]) * 5000 for index in range(4)]
        chunks = [media(9, 0, body) for body in bodies]
        for start in range(0, len(chunks[0]), 100):
            for each, data in zip(encoders, chunks, strict=True):
                await each.send(data[start : start + 100])
            await asyncio.sleep(0)
        for index, body in enumerate(bodies):
            sink = await server.admission.sink(index)
            await sink.wait_for(len(flv.FILE_HEADER) + len(body) + 15)
            assert sink.received == flv.FILE_HEADER + tag(9, 0, body)
        for each in encoders:
            each.writer.transport.abort()
