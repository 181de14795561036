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
from tests.encoders.commands import ENCODERS, Encoder
from tests.encoders.obs import log_of
from tests.encoders.target import Target

LIVE_WITHIN_S = 40.0
WRONG_KEY = "sk_0000000000000000000000000000"
STOPS_WITHIN_S = 8.0
"""Longer than any of them waits before it tries again."""


@asynccontextmanager
async def _running(encoder: Encoder, target: Target, directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    command = await asyncio.to_thread(encoder.command, directory, target)
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


def _target(node: Node, encoder: Encoder, stream: dict[str, Any], key: str, cert_file: Path) -> Target:
    ingest = stream["ingest"]
    # The name that the certificate has.
    rtmps_url = node.rtmps_url.replace("127.0.0.1", "localhost")
    server = {"rtmp": ingest["rtmpUrl"], "rtmps": rtmps_url, "srt": ingest["srtUrl"]}[encoder.protocol]
    url = f"{server}?streamid=#!::r=live/{key},m=publish" if encoder.protocol == "srt" else f"{server}/{key}"
    return Target(url=url, server=server, key=key, cert_file=cert_file)


async def _pushes(node: Node, encoder: Encoder, cert_file: Path, directory: Path) -> str:
    stream = await node.create(name=encoder.name)
    start_s = time.monotonic()
    target = _target(node, encoder, stream, stream["ingest"]["streamKey"], cert_file)
    async with _running(encoder, target, directory):
        state = await node.wait_for_state(stream["streamId"], "live", "error", timeout_s=LIVE_WITHIN_S)
        live_s = time.monotonic() - start_s
        assert state["state"] == "live", "the stream is in error"
        watched = await watch(node, stream["playback"]["hlsUrl"])
        for name, rendition in watched.items():
            assert rendition.audio() if name == "audio" else rendition.video(), f"{name} has no frames"
        health: dict[str, Any] = {}

        async def told() -> bool:
            health.update((await node.stream(stream["streamId"]))["ingest"].get("health", {}))
            return bool(health)

        await wait_until(told, "its health")
    assert health["protocol"] == encoder.protocol and health["video"]["codec"] == encoder.codec, health
    return f"live after {live_s:4.1f} s   {len(watched) - 1} renditions   {health.get('encoder', '')}"


async def _is_refused(node: Node, encoder: Encoder, cert_file: Path, directory: Path) -> str:
    stream = await node.create(name=f"{encoder.name}, wrong key")
    before = len(node.log_lines)

    def refusals() -> int:
        return sum("refused" in line or "rejected" in line for line in node.log_lines[before:])

    async def told() -> bool:
        return refusals() > 0

    async with _running(encoder, _target(node, encoder, stream, WRONG_KEY, cert_file), directory) as process:
        await wait_until(told, "a refusal", LIVE_WITHIN_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOPS_WITHIN_S)
        ending = f"exits with {process.returncode}"
        if process.returncode is None:
            ending = "stops" if refusals() == 1 else f"tries again, {refusals()} times"
        log = log_of(directory)
        assert not log or "rejected" in log or "Invalid stream key" in log or "BadName" in log, log[-2000:]
    assert (await node.stream(stream["streamId"]))["state"] == "idle"
    assert WRONG_KEY not in node.log_text()
    return f"wrong key: refused, {ending}"


async def _try(node: Node, encoder: Encoder, cert_file: Path) -> str:
    said = []
    for step in (_pushes, _is_refused):
        with tempfile.TemporaryDirectory(prefix="antlive-encoder-", ignore_cleanup_errors=True) as directory:
            said.append(await step(node, encoder, cert_file, Path(directory)))
    return "   ".join(said)


async def main(names: list[str]) -> int:
    """Returns 1 when an encoder failed. Without names all of them are tried."""
    failed = 0
    chosen = [encoder for encoder in ENCODERS if not names or encoder.name in names]
    with tempfile.TemporaryDirectory(prefix="antlive-encoders-") as directory:
        cert_file, key_file = Path(directory) / "cert.pem", Path(directory) / "key.pem"
        write_certificate(cert_file, key_file, "localhost")
        variables = {"ANTLIVE_RTMPS_PORT": "0", "ANTLIVE_TLS_CERT": str(cert_file), "ANTLIVE_TLS_KEY": str(key_file)}
        async with running_node(Path(directory) / "node", ANTLIVE_RECONNECT_WINDOW_S="1", **variables) as node:
            for encoder in chosen:
                label = f"{encoder.name:20}{encoder.protocol:7}{encoder.codec:6}"
                if not encoder.is_installed:
                    print(f"{label}not installed: `make encoders` installs it", flush=True)
                    failed += 1
                    continue
                try:
                    print(f"{label}{await _try(node, encoder, cert_file)}", flush=True)
                except AssertionError as error:
                    failed += 1
                    print(f"{label}FAILED: {str(error)[:200]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
