"""A role of `serve` as its child process."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any

from antlive.children import Child, StartFailed
from antlive.forks import Forks
from antlive.roles import run_role
from antlive.zygote import Request
from config.settings import Settings


class RoleChild(Child):
    """A child that is an antlive role, and ready when it says so."""

    def __init__(
        self,
        role: str,
        forks: Forks,
        settings: Settings,
        environment: Mapping[str, str],
        stop_s: float,
        http_fd: int | None = None,
    ) -> None:
        super().__init__(role, forks, stop_s)
        self._http_fd = http_fd
        self._environment = dict(environment)
        self.settings = settings
        """Those it is started with, and started again."""
        self.ready: dict[str, Any] = {}
        """What it has said, such as its ports."""

    async def start(self, timeout_s: float = 20.0) -> None:
        """Start it and wait until it says that it is ready."""
        request = Request(f"-m antlive {self.name}", _run_role, (self.name, self.settings), self._environment)
        read_fd, write_fd = os.pipe()
        with os.fdopen(read_fd, "rb", 0) as pipe:
            try:
                self.process = self._fork(request, [write_fd] if self._http_fd is None else [write_fd, self._http_fd])
            finally:
                os.close(write_fd)
            try:
                async with asyncio.timeout(timeout_s):
                    line = await _first_line(pipe)
            except TimeoutError:
                await self.stop()
                raise StartFailed(f"{self.name} was not ready within {timeout_s:g} s") from None
        if not line:
            raise StartFailed(f"{self.name} ended with exit code {await self.process.wait()} before it was ready")
        self.ready = json.loads(line)
        if "error" in self.ready:
            raise StartFailed(f"{self.name}: {self.ready['error']}")


def _run_role(files: list[int], role: str, settings: Settings) -> int:
    return run_role(role, settings, *files)


async def _first_line(pipe: Any) -> bytes:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        return await reader.readline()
    finally:
        transport.close()
