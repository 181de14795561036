"""Five hundred connections, of publishers and strangers, over RTMP and SRT: what they took is given back."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from ingest.rtmp.chunk_writer import ChunkWriter
from ingest.rtmp.chunks import Message
from ingest.srt.libsrt import SrtError, library
from tests.clips import synthetic_clip
from tests.e2e.inside import role, workers
from tests.e2e.node import Node, running_node, wait_until
from tests.rtmp.wire import CONNECT, CREATE_STREAM, HELLO, Replies, command, publish
from tests.srt.caller import Rejected, calling
from transcode.flv import FlvReader

pytestmark = pytest.mark.asyncio(loop_scope="session")

STREAMS = 8
WARM_UP, CONNECTS = 150, 500
SRT_EACH, STRANGER_EACH = 12, 12
MORE_FDS = {"ingest": 6, "worker": 0}  # the pool of connections to Redis may have grown
RSS_SLACK_BYTES = 6 * 1024 * 1024
FLOOD, FLOOD_BYTES, FLOOD_SLACK_BYTES = 400, 64 * 1024 * 1024, 40 * 1024 * 1024
STRANGERS = (b"GET / HTTP/1.1\r\n\r\n", HELLO + b"\xff" * 300, HELLO + CONNECT + publish("sk_wrong"), HELLO[:900])
ANSWERS = {"NetStream.Publish.Start", "NetStream.Publish.BadName", "NetStream.Failed"}
GOODBYE = command("FCUnpublish", 5.0, None, "-") + command("deleteStream", 6.0, None, 1.0)


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds."""

    fds: int
    threads: int
    rss_bytes: int


def held(process: psutil.Process) -> Held:
    with process.oneshot():
        return Held(process.num_fds(), process.num_threads(), process.memory_info().rss)


def messages_of(path: Path) -> bytes:
    """The first second of a clip as an encoder sends it."""
    writer, data = ChunkWriter(), b""
    for tag in FlvReader().feed(path.read_bytes()):
        if tag.timestamp_ms > 1000:
            break
        data += writer.write(6, Message(tag.kind, tag.timestamp_ms, 1, tag.body))
    return data


async def rtmp(port: int, key: str, media: bytes, ending: bytes) -> None:
    """Publish and leave, with a goodbye or in the middle of a message."""
    answer = ""
    for _ in range(100):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        replies = Replies()
        try:
            writer.write(HELLO + CONNECT + CREATE_STREAM + publish(key))
            while not ANSWERS & set(replies.codes):
                received = await asyncio.wait_for(reader.read(65536), 10)
                assert received, replies.codes
                replies.feed(received)
            if "NetStream.Publish.Start" in replies.codes:
                writer.write(media + ending)
                await writer.drain()
                return
            answer = str(replies.codes)
        except ConnectionError as error:  # those refused just now still count as open: too many from one address
            answer = repr(error)
        finally:
            writer.close() if ending else writer.transport.abort()
        await asyncio.sleep(0.05)  # the one before has not been missed yet, or its stream is busy
    raise AssertionError(answer)


async def stranger(port: int, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    with suppress(ConnectionError, TimeoutError):  # half a handshake gets no answer
        await asyncio.wait_for(reader.read(4000), 0.2)
    writer.transport.abort()


async def srt(port: int, key: str, media: bytes) -> None:
    with suppress(Rejected, SrtError):
        async with calling(port, key) as caller:
            for start in range(0, min(len(media), 20 * 1316), 1316):
                await caller.send(media[start : start + 1316])


async def connect_all(node: Node, keys: list[str], flv: bytes, ts: bytes, count: int) -> None:
    """`count` connections, one after the other on each stream; every 12th of SRT, every 12th of a stranger."""
    rtmp_port, srt_port = urlsplit(node.rtmp_url).port or 0, urlsplit(node.srt_url).port or 0
    numbers = itertools.count()

    async def one_by_one(key: str) -> None:
        while (number := next(numbers)) < count:
            if number % SRT_EACH == 0:
                await srt(srt_port, key, ts)
            elif number % STRANGER_EACH == 1:
                await stranger(rtmp_port, STRANGERS[number // STRANGER_EACH % len(STRANGERS)])
            else:
                await rtmp(rtmp_port, key, flv, GOODBYE if number % 2 else b"")

    await asyncio.gather(*(one_by_one(key) for key in keys))


async def test_five_hundred_connections_leave_nothing_behind(tmp_path: Path) -> None:
    clips = [
        synthetic_clip(tmp_path / f"clip.{name}", size="160x90", seconds=2, container=container)
        for name, container in (("flv", "flv"), ("ts", "mpegts"))
    ]
    flv, ts = messages_of(clips[0]), clips[1].read_bytes()
    library().srt_startup()
    try:
        async with running_node(tmp_path / "node", ANTLIVE_RECONNECT_WINDOW_S="30") as node:
            streams = [await node.create(quality="passthrough") for _ in range(STREAMS)]
            keys = [stream["ingest"]["streamKey"] for stream in streams]
            await connect_all(node, keys, flv, ts, WARM_UP)
            (worker,) = workers(node).values()
            processes = {"ingest": role(node, "ingest"), "worker": worker}
            before: dict[str, Held] = {}

            async def settled() -> bool:
                last, before_now = dict(before), {name: held(process) for name, process in processes.items()}
                before.update(before_now)
                await asyncio.sleep(0.3)
                return last == before_now

            await wait_until(settled, "the warm-up to settle")
            await connect_all(node, keys, flv, ts, CONNECTS)
            after: dict[str, Held] = {}

            async def given_back() -> bool:
                after.update({name: held(process) for name, process in processes.items()})
                return all(
                    now.fds <= before[name].fds + MORE_FDS[name] and now.threads <= before[name].threads + 1
                    for name, now in after.items()
                )

            await wait_until(given_back, "files and threads", 20, lambda: f"before {before}, after {after}")
            for name in processes:
                assert after[name].rss_bytes <= before[name].rss_bytes + RSS_SLACK_BYTES, (name, before, after)
            assert set(workers(node)) == {worker.pid}
            for stream in streams:
                state = (await node.stream(stream["streamId"]))["state"]
                assert state in ("live", "connecting"), state
    finally:
        library().srt_cleanup()


async def test_a_flood_of_handshakes_from_many_addresses_takes_no_memory_for_good(tmp_path: Path) -> None:
    library().srt_startup()
    try:
        async with running_node(tmp_path / "node") as node:
            port, ingest = urlsplit(node.srt_url).port or 0, role(node, "ingest")
            before_bytes = held(ingest).rss_bytes

            async def refused(number: int) -> None:
                with pytest.raises(Rejected):
                    async with calling(
                        port, f"live/sk_{number}", from_host=f"127.0.{number // 200}.{1 + number % 200}"
                    ):
                        pass

            await asyncio.gather(*(refused(number) for number in range(FLOOD)))
            peak_bytes = held(ingest).rss_bytes
            assert peak_bytes > before_bytes + FLOOD_BYTES, "libsrt takes that much, or this test shows nothing"

            async def given_back() -> bool:
                return held(ingest).rss_bytes < before_bytes + FLOOD_SLACK_BYTES

            await wait_until(given_back, "the memory", describe=lambda: f"{before_bytes} {peak_bytes} {held(ingest)}")
    finally:
        library().srt_cleanup()
