"""Ingest in a process of its own, for its CPU time: servers without Redis, sessions or packaging.

    python -m benchmarks.ingest_process rtmp|srt payloads|handoff

With `payloads` the media end in a counter. With `handoff` they go through the hand-off to a second process that reads
them as a session worker does. Prints its port.
"""

from __future__ import annotations

import array
import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import uvloop

from config.limits import LIMITS
from config.session import Container, Stats
from ingest.admission import Admission, Buffer, MediaSink, PublishRequest
from ingest.bitrate_cap import BitrateCap
from ingest.connected_encoder import ConnectedEncoder
from ingest.health import ConnectionHealth
from ingest.rtmp.server import RtmpServer
from ingest.srt.directory import KeyDirectory
from ingest.srt.server import SrtServer
from ingest.workers import SEND_BUFFER_BYTES, Worker
from transcode.flv import FlvReader
from transcode.media_reader import MediaReader, Shared

_NO_CAP_BPS = 1_000_000_000


class _Counter:
    """A sink that counts."""

    stream_id = "ls_benchmark"
    session_id = "se_benchmark"
    connection_number = 1

    def __init__(self) -> None:
        self.bytes_written = 0

    def write(self, buffers: Sequence[Buffer]) -> None:
        for buffer in buffers:
            self.bytes_written += len(buffer)

    def close(self, reason: str) -> None:
        pass


class _Admission:
    """Lets everybody in."""

    def __init__(self, worker: socket.socket | None) -> None:
        self._worker = worker

    async def publish(self, request: PublishRequest) -> MediaSink:
        if self._worker is None:
            return _Counter()
        health = ConnectionHealth(request, "passthrough")
        cap = BitrateCap(_NO_CAP_BPS, 1.0)
        ids, limit_bytes = ("ls_benchmark", "se_benchmark", 1), LIMITS.handoff_bytes
        encoder = ConnectedEncoder(*ids, request, health, cap, limit_bytes, lambda *_: None)
        encoder.hand_to(cast(Worker, self), encoder.session_id, "1")
        return encoder

    def connect(self, session_id: str, connection_id: str, container: Container) -> socket.socket:
        """As `Worker.connect`."""
        assert self._worker is not None
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        socket.send_fds(self._worker, [container.encode()], [theirs.fileno()])
        theirs.close()
        return ours


class _Payloads:
    """A session that takes FLV apart into tags, and takes MPEG-TS as it is; keeps nothing."""

    congested = False

    def __init__(self, container: Container) -> None:
        self._feed: Callable[[memoryview], object] = len
        if container == "flv":
            reader = FlvReader()
            self._feed = lambda data: [None for _ in reader.feed(data)]

    def connected(self, container: Container) -> None:
        pass

    def feed(self, data: memoryview) -> None:
        self._feed(data)

    def disconnected(self) -> None:
        pass

    def stats(self, cpu_s: float) -> Stats:
        raise NotImplementedError

    def end(self, *, final: bool = True) -> None:
        pass


async def _work(control: socket.socket) -> None:
    """The second process: one reader for each connection."""
    loop = asyncio.get_running_loop()
    readers: list[MediaReader] = []
    shared = Shared()
    over = asyncio.Event()

    def failed(code: str, message: str) -> None:
        print(f"{code}: {message}", file=sys.stderr)

    def connect() -> None:
        fds = array.array("i")
        packet, ancillary, _flags, _address = control.recvmsg(16, socket.CMSG_SPACE(fds.itemsize))
        if not packet:
            loop.remove_reader(control)
            over.set()
            return
        fds.frombytes(ancillary[0][2])
        session = _Payloads("mpegts" if packet == b"mpegts" else "flv")
        readers.append(MediaReader(socket.socket(fileno=fds[0]), "se_benchmark", session, failed, shared))

    loop.add_reader(control, connect)
    await over.wait()


async def _serve(protocol: str, admission: Admission) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    if protocol == "srt":
        directory = KeyDirectory("node_benchmark", lambda stream_id: False)
        srt = SrtServer(admission, directory)
        print(await srt.start("127.0.0.1", 0), flush=True)
        await over.wait()
        await srt.close()
    else:
        rtmp = RtmpServer(admission)
        print(await rtmp.start("127.0.0.1", 0), flush=True)
        await over.wait()
        await rtmp.close()


def main() -> None:
    """See the module."""
    # As the roles of a node do.
    gc.collect()
    gc.freeze()
    protocol, how = sys.argv[1:]
    if how == "payloads":
        uvloop.run(_serve(protocol, _Admission(None)))
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        uvloop.run(_work(theirs))
        os._exit(0)
    theirs.close()
    uvloop.run(_serve(protocol, _Admission(ours)))


@asynccontextmanager
async def ingest_process(protocol: str, how: str) -> AsyncIterator[tuple[int, int]]:
    """Its process id and its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.ingest_process", protocol, how,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process.pid, int(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    main()
