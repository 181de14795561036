"""A whole antlive as a user starts it: `antlive serve` in a process of its own, temporary directories, free ports."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import m3u8

from tests.clips import FFMPEG


@dataclass(slots=True)
class Node:
    """A running node and an API client for it."""

    process: asyncio.subprocess.Process
    data_dir: Path
    media_dir: Path
    rtmp_url: str
    rtmps_url: str  # empty when there is none
    srt_url: str
    ready_key: str
    api_url: str
    api_key: str
    player_url: str
    http: aiohttp.ClientSession
    log_lines: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return self.api_url.removesuffix("/v1/live-streams")

    async def create(self, **fields: Any) -> dict[str, Any]:
        """Create a stream."""
        body = {"name": "test", **fields}
        async with self.http.post(self.api_url, json=body, headers=self.auth) as response:
            assert response.status == 201, await response.text()
            created: dict[str, Any] = await response.json()
            return created

    async def stream(self, stream_id: str) -> dict[str, Any]:
        """The stream object."""
        async with self.http.get(f"{self.api_url}/{stream_id}", headers=self.auth) as response:
            assert response.status == 200, await response.text()
            stream: dict[str, Any] = await response.json()
            return stream

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    async def wait_for_state(self, stream_id: str, *states: str, timeout_s: float = 15.0) -> dict[str, Any]:
        """The stream object once it is in one of these states."""
        found: dict[str, Any] = {}

        async def reached() -> bool:
            found.update(await self.stream(stream_id))
            return found["state"] in states

        await wait_until(reached, f"state {states}", timeout_s, lambda: str(found))
        return found

    async def text(self, url: str) -> str:
        """The body of a 200 answer."""
        async with self.http.get(url) as response:
            body = await response.text()
            assert response.status == 200, f"{url}: {response.status} {body}"
            return body

    async def playlist(self, url: str) -> m3u8.M3U8:
        """A parsed playlist."""
        return m3u8.loads(await self.text(url), uri=url)

    async def bytes(self, url: str) -> bytes:
        """The body of a 200 answer, as bytes."""
        async with self.http.get(url) as response:
            assert response.status == 200, f"{url}: {response.status}"
            return await response.read()

    def log_text(self) -> str:
        """Everything that the node has logged so far."""
        return "\n".join(self.log_lines)


async def wait_until(
    condition: Callable[[], Awaitable[bool]],
    what: str,
    timeout_s: float = 15.0,
    describe: Callable[[], str] = lambda: "",
) -> None:
    """Return once the condition holds; it is asked again and again. Fails with `what` after `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await condition():  # noqa: ASYNC110 (the condition lies in another process)
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"waited {timeout_s} s for {what}; {describe()}") from None


@asynccontextmanager
async def running_node(directory: Path, **environment: str | None) -> AsyncIterator[Node]:
    """Start a node below `directory`; stop it with Ctrl-C's signal at the end. A variable that is None is unset."""
    data_dir, media_dir = directory / "data", directory / "media"
    variables: dict[str, str | None] = {
        name: value for name, value in os.environ.items() if not name.startswith("ANTLIVE_")
    }
    variables |= {
        "ANTLIVE_HTTP_PORT": "0",
        "ANTLIVE_RTMP_PORT": "0",
        "ANTLIVE_SRT_PORT": "0",
        "ANTLIVE_BIND": "127.0.0.1",
        "ANTLIVE_PUBLIC_HOST": "127.0.0.1",
        "ANTLIVE_DATA_DIR": str(data_dir),
        "ANTLIVE_MEDIA_DIR": str(media_dir),
        "ANTLIVE_CONFORMANCE_SHARE": "1",
        # A test is not about how fast the machine is that it runs on.
        "ANTLIVE_CAPACITY_UNITS": "100000",
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "antlive", "serve",
        env={name: value for name, value in variables.items() if value is not None},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    log_lines: list[str] = []
    logs = asyncio.create_task(_collect(process.stderr, log_lines))
    try:
        welcome = await asyncio.wait_for(_read_welcome(process.stdout), 30)
        async with aiohttp.ClientSession() as http:
            yield Node(
                process=process,
                data_dir=data_dir,
                media_dir=media_dir,
                rtmp_url=welcome["RTMP URL"],
                rtmps_url=welcome.get("RTMPS URL", ""),
                srt_url=welcome["SRT URL"],
                ready_key=welcome["Stream key"],
                api_url=welcome["API"],
                api_key=welcome["API key"],
                player_url=welcome["Player"],
                http=http,
                log_lines=log_lines,
            )
    except NotStarted:
        await logs
        raise AssertionError("the node ended before it was ready:\n" + "\n".join(log_lines)) from None
    except TimeoutError:
        raise AssertionError("the node did not start:\n" + "\n".join(log_lines)) from None
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            raise
        finally:
            await logs
    assert "Traceback" not in "\n".join(log_lines), "\n".join(log_lines)
    # Everything that the node has published for a viewer was held against the rules of LL-HLS.
    broken = [line for line in log_lines if "rule_broken" in line]
    assert not broken, "\n".join(broken)


class NotStarted(Exception):
    """A node has ended before it was ready."""


async def _read_welcome(stdout: asyncio.StreamReader) -> dict[str, str]:
    values: dict[str, str] = {}
    while "API key" not in values:
        line = (await stdout.readline()).decode()
        if not line:
            raise NotStarted
        if match := re.match(r"  (\S.*?)\s{2,}(\S+)$", line.rstrip("\n")):
            values[match[1]] = match[2]
    return values


async def _collect(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode(errors="replace").rstrip("\n"))


@asynccontextmanager
async def pushing(
    source: Path, url: str, *options: str, loop: bool = True, container: str = "flv"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real ffmpeg that pushes a file in real time; it is killed at the end."""
    looped = ("-stream_loop", "-1") if loop else ()
    arguments = ["-v", "error", "-re", *looped, "-i", str(source), *(options or ("-c", "copy")), "-f", container, url]
    process = await asyncio.create_subprocess_exec(
        FFMPEG, *arguments, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
