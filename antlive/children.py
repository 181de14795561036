"""Child processes of `serve`: started in order, restarted when they die, stopped in reverse order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence

import structlog

from antlive.forks import ForkedProcess, ForkFailed, Forks
from antlive.zygote import Request, run_program

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
