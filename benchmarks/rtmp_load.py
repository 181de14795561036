"""Pushes one prepared upload to many RTMP URLs in real time, from one process that costs little.

    python -m benchmarks.rtmp_load SOURCE.flv CHUNK_BYTES < urls

The upload is muxed once; what is left to do is to send the bytes that are due. Prints `ready` when every publish is
accepted and media flow, then how late the latest message was sent, in seconds, once a second.
"""

from __future__ import annotations

import asyncio
import heapq
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from ingest.rtmp.chunk_writer import ChunkWriter
from ingest.rtmp.chunks import SET_CHUNK_SIZE, Message
from tests.rtmp.wire import CONNECT, CREATE_STREAM, HELLO, Replies, control, publish
from transcode.flv import FlvReader

OBS_CHUNK_BYTES = 4096
_TIMEOUT_S = 10.0
_MEDIA_CHUNK_STREAM = 6

Upload = list[tuple[float, bytes]]
"""When each message is due, in seconds from the start, and its chunks."""


def read_upload(source: Path, chunk_bytes: int) -> Upload:
    """A FLV file as RTMP messages."""
    writer = ChunkWriter()
    writer.chunk_bytes = chunk_bytes
    return [
        (tag.timestamp_ms / 1000, writer.write(_MEDIA_CHUNK_STREAM, Message(tag.kind, tag.timestamp_ms, 1, tag.body)))
        for tag in FlvReader().feed(source.read_bytes())
    ]


def _connect(url: str, chunk_bytes: int) -> socket.socket:
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    sock = socket.create_connection((parts.hostname, parts.port), timeout=_TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(HELLO + CONNECT + CREATE_STREAM + publish(parts.path.rsplit("/", 1)[1]))
    replies = Replies()
    while "NetStream.Publish.Start" not in replies.codes:
        data = sock.recv(65536)
        if not data:
            raise ConnectionError(f"publish was refused: {replies.codes}")
        replies.feed(data)
    sock.sendall(control(SET_CHUNK_SIZE, struct.pack(">I", chunk_bytes)))
    return sock


def _push(socks: Sequence[socket.socket], upload: Upload) -> None:
    """Each connection is a little later than the one before, so that keyframes don't come all at once."""
    start_s = time.monotonic()
    due = [(number / len(socks), number, 0) for number in range(len(socks))]
    late_s, told_s = 0.0, 0.0
    while due:
        due_s, number, index = due[0]
        now_s = time.monotonic() - start_s
        if now_s < due_s:
            time.sleep(due_s - now_s)
        late_s = max(late_s, now_s - due_s)
        if now_s - told_s >= 1.0:
            print(f"{late_s:.3f}", flush=True)
            late_s, told_s = 0.0, now_s
        socks[number].sendall(upload[index][1])
        if index + 1 < len(upload):
            heapq.heapreplace(due, (number / len(socks) + upload[index + 1][0], number, index + 1))
        else:
            heapq.heappop(due)


def main() -> None:
    """See the module."""
    upload = read_upload(Path(sys.argv[1]), int(sys.argv[2]))
    socks = [_connect(url, int(sys.argv[2])) for url in sys.stdin.read().split()]
    print("ready", flush=True)
    _push(socks, upload)


@asynccontextmanager
async def pushing_to(
    urls: Sequence[str], source: Path, chunk_bytes: int = OBS_CHUNK_BYTES
) -> AsyncIterator[asyncio.StreamReader]:
    """Push to all of these from a process of its own, until the block ends or the source does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.rtmp_load", str(source), str(chunk_bytes),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write("\n".join(urls).encode())
        process.stdin.close()
        if await asyncio.wait_for(process.stdout.readline(), 60) != b"ready\n":
            raise RuntimeError("the load did not begin")
        yield process.stdout
        if process.returncode is not None:
            raise RuntimeError("the load ended early: a receiver has closed a connection, or the source was too short")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


if __name__ == "__main__":
    main()
