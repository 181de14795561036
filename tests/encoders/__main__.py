"""`make encoders`: every encoder that is installed pushes to a running node, over every protocol it has.

Each must go live, play with picture and sound in every rendition, and be refused with a wrong key. Prints a table.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.certificates import write_certificate
from tests.e2e.node import Node, running_node, wait_until
from tests.e2e.viewer import watch
from tests.encoders.commands import ENCODERS, Encoder, Target

LIVE_WITHIN_S = 40.0
WRONG_KEY = "sk_0000000000000000000000000000"


@asynccontextmanager
async def _running(encoder: Encoder, target: Target) -> AsyncIterator[asyncio.subprocess.Process]:
    with tempfile.TemporaryDirectory(prefix="antlive-encoder-", ignore_cleanup_errors=True) as directory:
        command = await asyncio.to_thread(encoder.command, Path(directory), target)
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **encoder.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


def _target(node: Node, encoder: Encoder, stream: dict[str, Any], key: str) -> Target:
    ingest = stream["ingest"]
    server = {"rtmp": ingest["rtmpUrl"], "rtmps": node.rtmps_url, "srt": ingest["srtUrl"]}[encoder.protocol]
    url = f"{server}?streamid=#!::r=live/{key},m=publish" if encoder.protocol == "srt" else f"{server}/{key}"
    return Target(url=url, server=server, key=key)


async def _pushes(node: Node, encoder: Encoder) -> str:
    stream = await node.create(name=encoder.name)
    start_s = time.monotonic()
    async with _running(encoder, _target(node, encoder, stream, stream["ingest"]["streamKey"])):
        state = await node.wait_for_state(stream["streamId"], "live", "error", timeout_s=LIVE_WITHIN_S)
        live_s = time.monotonic() - start_s
        assert state["state"] == "live", "the stream is in error"
        watched = await watch(node, stream["playback"]["hlsUrl"])
        for name, rendition in watched.items():
            assert rendition.audio() if name == "audio" else rendition.video(), f"{name} has no frames"
        health = (await node.stream(stream["streamId"]))["ingest"].get("health", {})
    return f"live after {live_s:4.1f} s   {len(watched) - 1} renditions   {health.get('encoder', '')}"


async def _is_refused(node: Node, encoder: Encoder) -> str:
    stream = await node.create(name=f"{encoder.name}, wrong key")
    before = len(node.log_lines)

    async def told() -> bool:
        return any("refused" in line or "rejected" in line for line in node.log_lines[before:])

    async with _running(encoder, _target(node, encoder, stream, WRONG_KEY)) as process:
        await wait_until(told, "a refusal", LIVE_WITHIN_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 4)
        ending = "goes on" if process.returncode is None else f"exits with {process.returncode}"
    assert (await node.stream(stream["streamId"]))["state"] == "idle"
    assert WRONG_KEY not in node.log_text()
    return f"wrong key: refused, {ending}"


async def main() -> int:
    """Returns 1 when an encoder failed."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="antlive-encoders-") as directory:
        cert_file, key_file = Path(directory) / "cert.pem", Path(directory) / "key.pem"
        write_certificate(cert_file, key_file, "127.0.0.1")
        variables = {"ANTLIVE_RTMPS_PORT": "0", "ANTLIVE_TLS_CERT": str(cert_file), "ANTLIVE_TLS_KEY": str(key_file)}
        async with running_node(Path(directory) / "node", ANTLIVE_RECONNECT_WINDOW_S="1", **variables) as node:
            for encoder in ENCODERS:
                label = f"{encoder.name:20}{encoder.protocol:7}"
                if not encoder.is_installed:
                    print(f"{label}not installed: `make encoders` installs it", flush=True)
                    failed += 1
                    continue
                try:
                    print(f"{label}{await _pushes(node, encoder)}   {await _is_refused(node, encoder)}", flush=True)
                except AssertionError as error:
                    failed += 1
                    print(f"{label}FAILED: {str(error)[:200]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
