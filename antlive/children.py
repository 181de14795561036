"""Child processes of `serve`: started in order, restarted when they die, stopped in reverse order."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import structlog

log = structlog.get_logger()

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class StartFailed(RuntimeError):
    """A child did not come up. The message says which and how it ended."""


def _die_with_parent() -> None:
    # A supervisor that is killed takes its children along: no orphan keeps a port.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One child process, in a session of its own so that a Ctrl-C reaches only the supervisor."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        stop_s: float,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.name = name
        self._pass_fds = pass_fds
        self._command = command
        self.environment = dict(environment)
        self._stop_s = stop_s
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, pass_fds: tuple[int, ...] = (), extra: tuple[str, ...] = ()) -> None:
        """Start the process."""
        self.process = await asyncio.create_subprocess_exec(
            *self._command,
            *extra,
            env=self.environment,
            pass_fds=(*self._pass_fds, *pass_fds),
            start_new_session=True,
            preexec_fn=_die_with_parent,
            stdin=asyncio.subprocess.DEVNULL,
        )

    async def start_role(self, timeout_s: float = 20.0) -> dict[str, Any]:
        """Start an antlive role and wait until it says that it is ready; what it says, such as its ports."""
        read_fd, write_fd = os.pipe()
        try:
            await self.start((write_fd,), ("--ready-fd", str(write_fd)))
        finally:
            os.close(write_fd)
        try:
            async with asyncio.timeout(timeout_s):
                line = await _read_to_end(read_fd)
        except TimeoutError:
            await self.stop()
            raise StartFailed(f"{self.name} was not ready within {timeout_s:g} s") from None
        if not line:
            assert self.process is not None
            raise StartFailed(f"{self.name} ended with exit code {await self.process.wait()} before it was ready")
        ready: dict[str, Any] = json.loads(line)
        if "error" in ready:
            raise StartFailed(f"{self.name}: {ready['error']}")
        return ready

    def interrupt(self) -> None:
        """Ask the process, which is ending, to do that at once."""
        if self.process is not None and self.process.returncode is None:
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


async def _read_to_end(fd: int) -> bytes:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0))
    try:
        return await reader.readline()
    finally:
        transport.close()


def role_command(role: str) -> list[str]:
    """The command line of an antlive role, run by this interpreter."""
    return [sys.executable, "-m", "antlive", role]
