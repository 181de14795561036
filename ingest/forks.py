"""Ingest's side of the process that forks session workers. Everything here blocks."""

from __future__ import annotations

import os
import pickle
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence

from config.forking import forked
from ingest.fork_server import COMMAND, STATUS, Request, serve


class Forks:
    """The server process, started by the first who needs it, and again when it has died. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._pid = 0
        self._program: subprocess.Popen[bytes] | None = None

    def fork_server(self) -> None:
        """Fork the server from this process, which has no threads yet: what both have loaded lies in memory once."""
        ours, theirs = _pair()
        with theirs:
            self._pid = forked(lambda: serve(theirs), COMMAND, {theirs.fileno()})
        self._requests = ours

    def ensure_running(self) -> None:
        """Start the server unless it runs."""
        with self._lock:
            if self._requests is not None and not _is_over(self._requests):
                return
            self._let_go()
            # From a program of its own: this one has threads by now.
            ours, theirs = _pair()
            with theirs:
                command = [sys.executable, *COMMAND.split(), str(theirs.fileno())]
                self._program = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
            self._requests = ours

    def run(self, request: Request, files: Sequence[int]) -> Forked:
        """Run a task in a new process. Raises `OSError` and `EOFError` when the server dies."""
        self.ensure_running()
        status, its_status = os.pipe()
        try:
            with self._lock:
                if self._requests is None:
                    raise EOFError("the fork server was stopped")
                socket.send_fds(self._requests, [pickle.dumps(request)], [its_status, *files])
        except OSError:
            os.close(status)
            raise
        finally:
            os.close(its_status)
        pid = _next_number(status)
        if pid is None:
            os.close(status)
            raise EOFError("the fork server died")
        return Forked(pid, status)

    def stop(self) -> None:
        """End the server; its children go on."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._requests is None:
            return
        self._requests.close()
        self._requests = None
        if self._program is not None:
            self._program.wait()
            self._program = None
        elif self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0


class Forked:
    """A process of the server's."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self._status = status

    def exit_code(self, timeout_s: float) -> int | None:
        """Its exit code, once; None when it doesn't come, as from a server that died."""
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        return _next_number(self._status) if poll.poll(timeout_s * 1000) else None

    def close(self) -> None:
        """Free what is kept of it."""
        os.close(self._status)


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _next_number(status: int) -> int | None:
    packet = os.read(status, STATUS.size)
    return STATUS.unpack(packet)[0] if len(packet) == STATUS.size else None


def _is_over(sock: socket.socket) -> bool:
    """Nobody ever writes there: what can be read is its end."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
