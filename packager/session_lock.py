"""One writer per session: a lock on its directory that goes with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

_WAIT_S = 1.0


class SessionBusy(RuntimeError):
    """Another process writes this session."""


def lock_session(directory: Path) -> int:
    """The file descriptor that holds the lock; closing it lets go. Raises `SessionBusy`.

    The lock of a process that was just killed goes in a moment: that is waited for.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    deadline_s = time.monotonic() + _WAIT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                os.close(fd)
                raise SessionBusy(f"another process writes session {directory.name}") from None
            time.sleep(0.01)
