"""Child processes of `serve`: started in order, restarted when they die, stopped in reverse order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from antlive.forks import ForkedProcess, ForkFailed, Forks
from antlive.roles import run_role
from antlive.zygote import Request, run_program
from config.settings import Settings

log = structlog.get_logger()


class StartFailed(RuntimeError):
    """A child did not come up. The message says which and how it ended."""


class Child:
    """One child process, in a session of its own so that a Ctrl-C reaches only the supervisor."""

    def __init__(self, name: str, forks: Forks, stop_s: float) -> None:
        self.name = name
        self._forks = forks
        self._stop_s = stop_s
        self.process: ForkedProcess | None = None

    async def start(self) -> None:
        """Start the process, and wait until it is ready if it says so. Raises `StartFailed`."""
        raise NotImplementedError

    def interrupt(self) -> None:
        """Ask the process, which is ending, to do that at once."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)

    async def stop(self, within_s: float | None = None) -> None:
        """Ask the process to end; kill it when it takes longer than its time, or than `within_s`."""
        stop_s = self._stop_s if within_s is None else within_s
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), stop_s)
        except TimeoutError:
            process.kill()
            log.warning("child_killed", child=self.name, after_s=stop_s)
            await process.wait()

    def _fork(self, request: Request, files: Sequence[int] = ()) -> ForkedProcess:
        try:
            return self._forks.start(request, files)
        except ForkFailed as error:
            raise StartFailed(f"{self.name}: {error}") from None


class ProgramChild(Child):
    """A child that is another program."""

    def __init__(
        self, name: str, forks: Forks, command: list[str], environment: Mapping[str, str], stop_s: float
    ) -> None:
        super().__init__(name, forks, stop_s)
        self._request = Request(command[0], run_program, (command, dict(environment)))

    async def start(self) -> None:
        """Start it."""
        self.process = self._fork(self._request)


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
