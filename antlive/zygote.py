"""A process without event loop or threads that forks the children of `serve`: what they load lies in memory once.

A request is one packet: what to run, with its files, the first of which is for the child's process id. The zygote forks
twice, so that its grandchild becomes a child of the supervisor, who waits for it, and whom it does not outlive.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from antlive.preload import preload
from config.forking import die_with_parent, end, forked, keep_what_is_loaded

COMMAND: Final = "-m antlive.zygote"
PID_BYTES: Final = 4
REQUEST_MAX_BYTES: Final = 128 * 1024
_FILES_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Request:
    """A child that is asked for: `task` gets the numbers of its files, then `arguments`; it returns an exit code."""

    command: str
    """What is shown as its command line, after the interpreter."""
    task: Callable[..., int]
    arguments: tuple[Any, ...]
    environment: dict[str, str] = field(default_factory=dict)
    """Added to that of the supervisor."""
    supervisor: int = field(default_factory=os.getpid)


def serve_requests(requests: socket.socket, supervisor: int) -> int:
    """Fork until the supervisor's end is closed."""
    die_with_parent(supervisor, signal.SIGKILL)
    os.setsid()  # Ctrl-C is the supervisor's business
    while True:
        packet, fds, _, _ = socket.recv_fds(requests, REQUEST_MAX_BYTES, _FILES_MAX)
        if not packet:
            return 0
        try:
            _fork_twice(pickle.loads(packet), fds)
        finally:
            for fd in fds:
                os.close(fd)


def _fork_twice(request: Request, fds: list[int]) -> None:
    ready, tell = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            try:
                forked(lambda: _run(request, fds, ready), request.command, {ready, *fds})
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    finally:
        os.close(ready)
        os.close(tell)


def _run(request: Request, fds: list[int], ready: int) -> int:
    os.read(ready, 1)  # its end: the process between is gone
    os.close(ready)
    die_with_parent(request.supervisor, signal.SIGTERM)
    os.setsid()
    os.environ.update(request.environment)
    tempfile.tempdir = None  # which the environment says
    asked, *files = fds
    try:
        os.write(asked, os.getpid().to_bytes(PID_BYTES))
    except BrokenPipeError:
        end(1)  # nobody waits for it any more
    os.close(asked)
    return request.task(files, *request.arguments)


def run_program(files: Sequence[int], command: list[str], environment: dict[str, str]) -> int:
    """A task: another program in place of this one."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execve(command[0], command, environment)


def main() -> int:
    """The zygote as a program of its own: `python -m antlive.zygote FD SUPERVISOR`."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    requests.set_inheritable(False)
    preload()
    keep_what_is_loaded()
    return serve_requests(requests, int(sys.argv[2]))


if __name__ == "__main__":
    sys.exit(main())
