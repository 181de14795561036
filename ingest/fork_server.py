"""The process that forks session workers: `python -m ingest.fork_server FD`.

A request is one packet: a function with its arguments and files. The first of these files is the child's status: its
process id is written there, and its exit code when it has ended.

What sessions need, above all the codec library, is loaded for the first of them (0.1 s, 27 MB) and shared by all who
come later: a node without sessions does without.
"""

from __future__ import annotations

import importlib
import os
import pickle
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from config.forking import forked, keep_what_is_loaded

COMMAND: Final = "-m ingest.fork_server"
STATUS: Final = struct.Struct("i")
REQUEST_MAX_BYTES: Final = 128 * 1024
FILES_MAX: Final = 8

Task = Callable[..., None]
"""Gets its files' numbers, then its arguments."""


@dataclass(frozen=True, slots=True)
class Request:
    """A process that is asked for."""

    task: Task
    arguments: tuple[Any, ...]
    shares: str | None = None
    """A module that the server loads before it forks, unless it has; by name: ingest imports nothing of transcode."""


def serve(requests: socket.socket) -> int:
    """Fork until the other end is closed. The children go on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is ingest's business
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    statuses: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if woken in ready:
                woken.recv(4096)
                _reap(statuses)
            if requests in ready and not _fork(requests, statuses):
                return 0


def _fork(requests: socket.socket, statuses: dict[int, int]) -> bool:
    """Do as the next request says. Whether there was one."""
    try:
        packet, fds, _, _ = socket.recv_fds(requests, REQUEST_MAX_BYTES, FILES_MAX)
    except ConnectionResetError:
        packet, fds = b"", []
    if not packet:
        return False
    status, *files = fds
    request: Request = pickle.loads(packet)
    if request.shares is not None and request.shares not in sys.modules:
        importlib.import_module(request.shares)
        keep_what_is_loaded()
    pid = forked(lambda: _run(request, files), COMMAND, files)
    for fd in files:
        os.close(fd)
    statuses[pid] = status
    _tell(status, pid)
    return True


def _run(request: Request, files: list[int]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request.task(*files, *request.arguments)
    return 0


def _reap(statuses: dict[int, int]) -> None:
    """Tell the exit codes of those that have ended."""
    while statuses:
        pid, code = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        status = statuses.pop(pid)
        _tell(status, os.waitstatus_to_exitcode(code))
        os.close(status)


def _tell(status: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody asks any more
        os.write(status, STATUS.pack(number))


if __name__ == "__main__":
    sys.exit(serve(socket.socket(fileno=int(sys.argv[1]))))
