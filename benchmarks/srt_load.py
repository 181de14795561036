"""Pushes one MPEG transport stream to many SRT URLs at a constant bitrate, from one process.

    python -m benchmarks.srt_load SOURCE.ts SECONDS < urls

`SECONDS` is how long the source lasts. Prints `ready` when all are connected and media flow.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ingest.srt.abi import Option
from ingest.srt.libsrt import check, library, set_option, socket_address

MESSAGE_BYTES = 7 * 188
_TICK_S = 0.005


def _connect(url: str) -> int:
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    u = int(check("create_socket", library().srt_create_socket()))
    for stream_id in parse_qs(parts.query).get("streamid", []):
        set_option(u, Option.STREAM_ID, stream_id.encode())
    address = socket_address(parts.hostname, parts.port)
    check("connect", library().srt_connect(u, address, len(address)))
    return u


def _push(sockets: Sequence[int], media: bytes, seconds: float) -> None:
    messages = [media[start : start + MESSAGE_BYTES] for start in range(0, len(media), MESSAGE_BYTES)]
    send, sent, start_s = library().srt_send, 0, time.monotonic()
    while sent < len(messages):
        due = min(int((time.monotonic() - start_s) / seconds * len(messages)), len(messages))
        for message in messages[sent:due]:
            for u in sockets:
                check("send", send(u, message, len(message)))
        sent = due
        time.sleep(_TICK_S)


def main() -> None:
    """See the module."""
    library().srt_startup()
    sockets = [_connect(url) for url in sys.stdin.read().split()]
    print("ready", flush=True)
    _push(sockets, Path(sys.argv[1]).read_bytes(), float(sys.argv[2]))


@asynccontextmanager
async def pushing_srt_to(urls: Sequence[str], source: Path, seconds: float) -> AsyncIterator[None]:
    """Push to all of these from a process of its own, until the block ends or the source does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.srt_load", str(source), str(seconds),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write("\n".join(urls).encode())
        process.stdin.close()
        if await asyncio.wait_for(process.stdout.readline(), 60) != b"ready\n":
            raise RuntimeError("the load did not begin")
        yield
        if process.returncode is not None:
            raise RuntimeError("the load ended early: a receiver has closed a connection, or the source was too short")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


if __name__ == "__main__":
    main()
