"""Strangers and broken encoders cost nobody but themselves, while a stream is live. No stream key leaks."""

from __future__ import annotations

import asyncio
import itertools
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import pytest_asyncio

from ingest.rtmp.chunk_writer import ChunkWriter
from ingest.rtmp.chunks import Message
from tests.e2e.inside import dump, processes_of, redis_of, wait_for_events
from tests.e2e.node import Node, pushing, wait_until
from tests.e2e.viewer import watch
from tests.rtmp.wire import CONNECT, CREATE_STREAM, HELLO, Replies, publish

pytestmark = pytest.mark.asyncio(loop_scope="session")

WRONG_KEY = "sk_wrongwrongwrongwrongwrongwro"
MAX_BEHIND_S = 2.0


@dataclass(slots=True)
class Steady:
    """A stream that is live while others misbehave."""

    node: Node
    stream: dict[str, Any]
    encoder: asyncio.subprocess.Process
    video_url: str

    @property
    def key(self) -> str:
        return str(self.stream["ingest"]["streamKey"])

    async def check_undisturbed(self) -> None:
        """Its encoder is connected, viewers are not behind, and every part since the first is there, gapless."""
        assert self.encoder.returncode is None
        text = await self.node.text(self.video_url)
        behind_s = (datetime.now(UTC) - end_of(text)).total_seconds()
        assert behind_s < MAX_BEHIND_S, f"viewers are {behind_s} s behind"
        await wait_for_events(self.node, self.stream["streamId"], "connecting", "live")
        parts = re.findall(r'EXT-X-PART:.*URI="([^"]+)"', text)
        assert parts
        for uri in parts:
            await self.node.bytes(urljoin(self.video_url, uri))

    async def check_gapless(self) -> None:
        """All that was published since the first segment is one grid without a gap."""
        playlist = await self.node.playlist(self.video_url)
        segments = len([segment for segment in playlist.segments if segment.uri])
        for rendition in (await watch(self.node, self.stream["playback"]["hlsUrl"], segments=segments)).values():
            if rendition.name == "audio":
                times = [(frame.pts, frame.samples) for frame in rendition.audio()]
                assert all(a + n == b for (a, n), (b, _) in itertools.pairwise(times) if a is not None)
            else:
                pts = [frame.pts for frame in rendition.video() if frame.pts is not None]
                assert len({later - earlier for earlier, later in itertools.pairwise(pts)}) == 1


def end_of(playlist_text: str) -> datetime:
    """The wall clock at the end of a live playlist: the last segment's date plus what is listed of it."""
    *_, newest = playlist_text.split("#EXT-X-PROGRAM-DATE-TIME:")
    durations_s = re.findall(r"EXT-X-PART:.*?DURATION=([0-9.]+)", newest) or re.findall(r"EXTINF:([0-9.]+)", newest)
    date = datetime.fromisoformat(newest.splitlines()[0].replace("Z", "+00:00"))
    return date + timedelta(seconds=sum(map(float, durations_s)))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def steady(node: Node, tiny_clip: Path) -> AsyncIterator[Steady]:
    stream = await node.create(name="steady")
    async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]) as encoder:
        await node.wait_for_state(stream["streamId"], "live")
        hls_url = stream["playback"]["hlsUrl"]
        video_url = urljoin(hls_url, (await node.playlist(hls_url)).playlists[0].uri)
        steady = Steady(node, stream, encoder, video_url)
        yield steady
        await steady.check_gapless()


@asynccontextmanager
async def connection(node: Node) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    port = int(node.rtmp_url.rsplit(":", 1)[1].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def read_until_accepted(reader: asyncio.StreamReader) -> None:
    replies = Replies()
    while "NetStream.Publish.Start" not in replies.codes:
        received = await asyncio.wait_for(reader.read(65536), 10)
        assert received, replies.codes
        replies.feed(received)


async def talk(node: Node, data: bytes) -> Replies:
    """Send bytes and read until the server closes the connection."""
    replies = Replies()
    async with connection(node) as (reader, writer):

        async def send() -> None:
            writer.write(data)
            await writer.drain()

        sending = asyncio.create_task(send())
        try:
            while received := await asyncio.wait_for(reader.read(65536), 15):
                replies.feed(received)
        except ConnectionError:
            pass  # the server need not read what it refuses
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    return replies


def message(type_id: int, body: bytes, length_bytes: int | None = None) -> bytes:
    """A message as chunks; its header may promise another length."""
    data = bytearray(ChunkWriter().write(3, Message(type_id, 0, 0, body)))
    if length_bytes is not None:
        data[4:7] = length_bytes.to_bytes(3, "big")
    return bytes(data)


def amf_string(text: bytes) -> bytes:
    return b"\x02" + struct.pack(">H", len(text)) + text


def long_string(size_bytes: int) -> bytes:
    return b"\x0c" + struct.pack(">I", size_bytes) + b"x" * size_bytes


SIXTEEN_MB = 0xFFFFFF
ATTACKS = {
    "garbage": (bytes(range(255, -1, -1)) * 64, "protocol_error"),
    "an HTTP request": (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n" + b"x" * 4096, "protocol_error"),
    "garbage after the handshake": (HELLO + b"\xff" * 20_000, "protocol_error"),
    "half a handshake": (HELLO[:1000], "handshake_timeout"),
    "16 MB before the key": (HELLO + CONNECT + message(20, b"\0" * 128, SIXTEEN_MB), "protocol_error"),
    "an endless AMF string": (HELLO + message(20, amf_string(b"connect") + long_string(1 << 20)), "protocol_error"),
    "a long AMF string": (HELLO + message(20, amf_string(b"connect") + long_string(12_000)), "protocol_error"),
    "a string longer than its message": (HELLO + message(20, b"\x02\xff\xffconnect"), "protocol_error"),
    "deeply nested AMF": (
        HELLO + message(20, amf_string(b"connect") + b"\0" * 9 + b"\x03\0\x01a" * 1000),
        "protocol_error",
    ),
    "a wrong key": (HELLO + CONNECT + CREATE_STREAM + publish(WRONG_KEY), "wrong_key"),
    "no key": (HELLO + CONNECT + CREATE_STREAM + publish(""), "no_key"),
}


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "half a handshake"])
async def test_a_bad_connection_ends_with_one_line_that_says_why(steady: Steady, name: str) -> None:
    data, reason = ATTACKS[name]
    seen = len(steady.node.log_lines)
    replies = await talk(steady.node, data)
    if reason in ("wrong_key", "no_key"):
        assert replies.codes[-1] == "NetStream.Publish.BadName"
    await check_one_line(steady, seen, reason)
    await steady.check_undisturbed()


async def check_one_line(steady: Steady, seen: int, reason: str) -> None:
    async def logged() -> bool:
        return any(f"reason={reason}" in line for line in steady.node.log_lines[seen:])

    await wait_until(logged, f"a line with {reason}", describe=steady.node.log_text)
    lines = [line for line in steady.node.log_lines[seen:] if "connection_refused" in line]
    assert len(lines) == 1, lines


async def test_an_attack_on_all_fronts_at_once(steady: Steady) -> None:
    seen = len(steady.node.log_lines)
    attacks = [data for data, _reason in ATTACKS.values()]
    await asyncio.gather(*(talk(steady.node, data) for data in attacks))

    async def logged() -> bool:
        return sum("connection_refused" in line for line in steady.node.log_lines[seen:]) >= len(attacks)

    await wait_until(logged, "a line of each", describe=steady.node.log_text)
    assert any("handshake_timeout" in line for line in steady.node.log_lines[seen:])
    await steady.check_undisturbed()


async def test_a_16_mb_message_of_a_publisher_ends_its_own_stream_only(steady: Steady) -> None:
    stream = await steady.node.create()
    key = stream["ingest"]["streamKey"]
    seen = len(steady.node.log_lines)
    opening = HELLO + CONNECT + CREATE_STREAM + publish(key)
    async with connection(steady.node) as (reader, writer):
        writer.write(opening)
        await read_until_accepted(reader)
        writer.write(message(9, b"\x17" * 128, SIXTEEN_MB) + b"\xc3" * 100)
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 10) == b""

    async def left() -> bool:
        return any("publisher_left" in line for line in steady.node.log_lines[seen:])

    await wait_until(left, "a line", describe=steady.node.log_text)
    lines = [line for line in steady.node.log_lines[seen:] if "publisher_left" in line]
    assert len(lines) == 1 and "protocol_error" in lines[0] and str(SIXTEEN_MB) in lines[0], lines
    await steady.check_undisturbed()


async def test_garbage_as_media_ends_its_own_stream_only(steady: Steady) -> None:
    stream = await steady.node.create()
    stream_id = stream["streamId"]
    garbage = [message(9, bytes([0x17, 1, 0, 0, 0]) + b"\xa5" * 100), message(9, b"\x17\0\0\0\0" + b"\xff" * 60)]
    garbage += [message(8, b"\xaf\x00\xff\xff"), message(8, b"\xff" * 90), message(9, b"\x90abcd\xff\xff")]
    opening = HELLO + CONNECT + CREATE_STREAM + publish(stream["ingest"]["streamKey"])
    async with connection(steady.node) as (reader, writer):
        writer.write(opening + b"".join(garbage))
        await read_until_accepted(reader)
        await steady.node.wait_for_state(stream_id, "error")
    events = await wait_for_events(steady.node, stream_id, "connecting", "error")
    assert events[-1].reason in ("unsupported_codec", "bad_media")
    await steady.check_undisturbed()


async def test_a_second_publisher_is_refused_and_the_first_not_disturbed(steady: Steady, tiny_clip: Path) -> None:
    seen = len(steady.node.log_lines)
    async with pushing(tiny_clip, steady.stream["ingest"]["rtmpFullUrl"]) as second:
        assert await asyncio.wait_for(second.wait(), 5) != 0
    await check_one_line(steady, seen, "already_publishing")
    await steady.check_undisturbed()


async def test_a_real_encoder_with_a_wrong_key_is_refused(steady: Steady, tiny_clip: Path) -> None:
    seen = len(steady.node.log_lines)
    async with pushing(tiny_clip, f"{steady.node.rtmp_url}/{WRONG_KEY}") as encoder:
        assert await asyncio.wait_for(encoder.wait(), 5) != 0
    await check_one_line(steady, seen, "wrong_key")
    await steady.check_undisturbed()


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


async def test_no_stream_key_is_anywhere_but_with_its_owner(steady: Steady) -> None:
    node = steady.node
    rotated = f"{node.rtmp_url}?key={steady.key}"
    await talk(node, HELLO + CONNECT + CREATE_STREAM + publish(f"{WRONG_KEY}?token={steady.key}"))
    await talk(node, HELLO + CONNECT + publish(rotated))
    secrets = (steady.key, WRONG_KEY, node.ready_key)
    async with redis_of(node) as redis:
        redis_text = await dump(redis)
    assert steady.stream["streamId"] in redis_text
    redis_files = [path for path in (node.data_dir / "redis").rglob("*") if path.is_file()]
    assert redis_files
    places = {"log": node.log_text().encode(), "Redis": redis_text.encode()}
    places |= {str(path): path.read_bytes() for path in redis_files}
    for process in processes_of(node):
        for kind in ("cmdline", "environ"):
            places[f"{kind} of {process.pid}"] = _read(f"/proc/{process.pid}/{kind}")
    assert len(places) > 12
    for place, content in places.items():
        for secret in secrets:
            assert secret.encode() not in content, place
    api = await node.stream(steady.stream["streamId"])
    assert not any(secret in str(api) for secret in secrets)
