"""The supervisor's side of the zygote: its children, wherever they come from, and their ends."""

from __future__ import annotations

import asyncio
import os
import pickle
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from antlive.preload import preload
from antlive.zygote import COMMAND, PID_BYTES, REQUEST_MAX_BYTES, Request, serve_requests
from config.forking import adopt_orphans, forked, keep_what_is_loaded

log = structlog.get_logger()

_ANSWER_S: Final = 10.0
"""How long a child may take to be forked; a zygote that is started anew loads everything first."""


class ForkFailed(RuntimeError):
    """No child could be forked. The message says why."""


class ForkedProcess:
    """A child of this process, to be used as those of `asyncio.subprocess`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        """Minus the signal that ended it; None while it runs."""
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        """Wait for its end; its exit code."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Nothing if it is gone."""
        if self.returncode is None:
            os.kill(self.pid, number)  # it is there, if only to be waited for

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        self.send_signal(signal.SIGKILL)

    def over(self, code: int) -> None:
        """Note its end."""
        self.returncode = code
        self._ended.set()


class Forks:
    """Made before there are threads and an event loop, from which `follow` is then called.

    A zygote that died is replaced by the next that is needed, a program of its own; the children don't notice.
    """

    def __init__(self) -> None:
        adopt_orphans()
        preload()
        keep_what_is_loaded()
        self._running: dict[int, ForkedProcess] = {}
        self._requests, theirs = _pair()
        supervisor = os.getpid()
        with theirs:
            forked(lambda: serve_requests(theirs, supervisor), COMMAND, {theirs.fileno()})

    def follow(self) -> None:
        """Learn of the ends of children from now on, in the running loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def start(self, request: Request, files: Sequence[int] = ()) -> ForkedProcess:
        """A new child. Blocks for the few milliseconds that takes. Raises `ForkFailed`."""
        try:
            pid = self._ask(request, files)
        except (OSError, EOFError) as error:
            log.warning("zygote_lost", error=f"{type(error).__name__}: {error}")
            try:
                self._start_anew()
                pid = self._ask(request, files)
            except (OSError, EOFError) as again:
                raise ForkFailed(f"{type(again).__name__}: {again}") from None
        process = self._running[pid] = ForkedProcess(pid)
        return process

    def close(self) -> None:
        """End the zygote, and the workers that an ingest has left which was killed and did not come back in time."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)  # which would come after the loop's end
        self._requests.close()
        with suppress(FileNotFoundError):  # a kernel that is built without it
            for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                os.kill(int(pid), signal.SIGTERM)  # it is there, if only to be waited for

    def _ask(self, request: Request, files: Sequence[int]) -> int:
        packet = pickle.dumps(request)
        assert len(packet) < REQUEST_MAX_BYTES, len(packet)
        answer, its_answer = os.pipe()
        try:
            try:
                socket.send_fds(self._requests, [packet], [its_answer, *files])
            finally:
                os.close(its_answer)
            poll = select.poll()
            poll.register(answer, select.POLLIN)
            if not poll.poll(_ANSWER_S * 1000):
                raise TimeoutError(f"no answer within {_ANSWER_S:g} s")
            pid = os.read(answer, PID_BYTES)
        finally:
            os.close(answer)
        if not pid:
            raise EOFError("it ended")
        return int.from_bytes(pid)

    def _start_anew(self) -> None:
        self._requests.close()  # which ends one that hangs
        self._requests, theirs = _pair()
        with theirs:
            theirs.set_inheritable(True)
            command = [sys.executable, *COMMAND.split(), str(theirs.fileno()), str(os.getpid())]
            os.posix_spawn(sys.executable, command, os.environ)

    def _reap(self) -> None:
        """Of what a killed role has forked, this process is the parent, too."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if (process := self._running.pop(pid, None)) is not None:
                    process.over(os.waitstatus_to_exitcode(status))


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
