"""A worker's process, whoever has forked it: it can be signalled and waited for without being a child of this one."""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import suppress
from multiprocessing.context import ForkServerProcess

_SERVER_LOST = 255
"""What the standard library calls the exit code of a process whose server process is gone."""
_CODE_S = 1.0
_ONE_AT_A_TIME = threading.Lock()
"""The standard library looks at all of a program's processes when one is started: none may be closed meanwhile."""


def start(process: ForkServerProcess) -> None:
    """Start a process; in a thread. Raises `OSError` and `EOFError` when the fork server is gone."""
    with _ONE_AT_A_TIME:
        process.start()


class WorkerProcess:
    """By its pidfd. `forked` is what the fork server knows of it; that is lost with the server, the process is not.

    Raises `ProcessLookupError` when there is no such process.
    """

    def __init__(self, pid: int, forked: ForkServerProcess | None = None) -> None:
        self.pid = pid
        self._forked = forked
        self._pidfd = os.pidfd_open(pid)

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        self._signal(signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for its end and return its exit code; None where nobody here learns it. Blocks."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll(None if timeout_s is None else timeout_s * 1000)
        if self._forked is None:
            return None
        with _ONE_AT_A_TIME:
            self._forked.join(_CODE_S)
            code = self._forked.exitcode
        return None if code == _SERVER_LOST else code

    def close(self) -> None:
        """Free what the system keeps of it, after its end. Blocks."""
        os.close(self._pidfd)
        if self._forked is not None:
            with _ONE_AT_A_TIME:
                if self._forked.exitcode is not None:
                    self._forked.close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)
