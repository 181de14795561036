"""Where a fault happens: a running service, a live stream with its encoder, and what a fault may do to them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.e2e.node import Node, running_node


class Encoder:
    """`antlive demo` at 640x360: a picture with a clock, over RTMP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.options: tuple[str, ...] = ("--size", "640x360")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Connect, as the same encoder or as another."""
        arguments = ("-m", "antlive", "demo", "--url", self.url, *self.options)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The running encoder."""
        assert self._process is not None
        return self._process

    async def kill(self) -> None:
        """Gone, without a goodbye."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@dataclass(slots=True)
class Scene:
    """One stream, live. A stage with more nodes than one adds them to `others`."""

    node: Node
    stream: dict[str, Any]
    encoder: Encoder
    others: list[Node] = field(default_factory=list)


class Stage(Protocol):
    """Opens a scene for a stream of this quality."""

    def __call__(self, directory: Path, quality: str) -> AbstractAsyncContextManager[Scene]: ...


@asynccontextmanager
async def one_node(directory: Path, quality: str) -> AsyncIterator[Scene]:
    """`antlive serve` with its embedded Redis."""
    async with running_node(directory) as node:
        stream = await node.create(quality=quality)
        encoder = Encoder(stream["ingest"]["rtmpFullUrl"])
        await encoder.start()
        try:
            await node.wait_for_state(stream["streamId"], "live", timeout_s=30)
            yield Scene(node, stream, encoder)
        finally:
            await encoder.kill()
