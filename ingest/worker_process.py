"""A worker's process, whoever has forked it: it can be signalled and waited for without being a child of this one."""

from __future__ import annotations

import faulthandler
import importlib
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

import structlog

from config.ladders import Ladder
from config.logs import LogStyle, configure_logs

log = structlog.get_logger()

WORKER_MODULE = "transcode.worker"
_MEASURE_MODULE = "transcode.speed"
_SERVER_LOST = 255
"""What the standard library calls the exit code of a process whose server process is gone."""
_CODE_S = 1.0
_CRASH_BYTES = 65536
_ONE_AT_A_TIME = threading.Lock()
"""The standard library looks at all of a program's processes when one is started: none may be closed meanwhile."""


def start(process: ForkServerProcess) -> None:
    """Start a process; in a thread. Raises `OSError` and `EOFError` when the fork server is gone."""
    with _ONE_AT_A_TIME:
        process.start()


def finish(process: ForkServerProcess) -> None:
    """Wait for the end of a process that is about to end, and free what is kept of it. Blocks."""
    with _ONE_AT_A_TIME:
        process.join(_CODE_S)
        if process.exitcode is not None:
            process.close()


def run_worker(
    control: socket.socket,
    node_id: str,
    alone_s: float,
    ladders: Mapping[str, Ladder],
    logs: LogStyle,
    crash: socket.socket,
) -> None:
    """The main function of a worker's process."""
    configure_logs("worker", logs)
    # What ends the process by a signal can't go through its log: ingest finds it here.
    faulthandler.enable(crash.detach())
    try:
        # By name: ingest imports nothing of the transcode package.
        importlib.import_module(WORKER_MODULE).main(control, node_id, alone_s, ladders)
    except Exception:
        log.critical("process_failed", exc_info=True)
        sys.exit(1)


def run_measurement(answer: Connection, cores: int) -> None:
    """The main function of the process that measures what this machine encodes."""
    speed = importlib.import_module(_MEASURE_MODULE).encoded_megapixels_per_core_s(cores)
    with suppress(BrokenPipeError):  # the node has ended meanwhile
        answer.send(speed)


class WorkerProcess:
    """By its pidfd. `forked` is what the fork server knows of it; that is lost with the server, the process is not.

    Into `crash` it writes where it was when a signal such as SIGSEGV ended it.

    Raises `ProcessLookupError` when there is no such process.
    """

    def __init__(self, pid: int, forked: ForkServerProcess | None = None, crash: socket.socket | None = None) -> None:
        self.pid = pid
        self._forked = forked
        self._crash = crash
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

    def crash_text(self) -> str:
        """What it has said of its crash, after its end; often nothing."""
        text = bytearray()
        if self._crash is not None:
            with self._crash as sock, suppress(OSError):
                sock.setblocking(False)
                while chunk := sock.recv(_CRASH_BYTES):
                    text += chunk
        return text.decode(errors="replace").strip()

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
