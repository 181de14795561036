"""A worker's process, whoever has forked it: it can be signalled and waited for without being a child of this one."""

from __future__ import annotations

import faulthandler
import importlib
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress

import structlog

from config.forking import die_with_parent
from config.ladders import Ladder
from config.logs import LogStyle, configure_logs
from ingest.forks import Forked

log = structlog.get_logger()

WORKER_MODULE = "transcode.worker"
LADDER_MODULE = "transcode.ladder_session"
"""What only sessions of the ladder tiers need."""
_MEASURE_MODULE = "transcode.speed"
_CODE_S = 1.0
_CRASH_BYTES = 65536


def run_worker(
    control_fd: int, crash_fd: int, node_id: str, alone_s: float, ladders: Mapping[str, Ladder], logs: LogStyle
) -> None:
    """The main function of a worker's process."""
    configure_logs("worker", logs)
    # What ends the process by a signal can't go through its log: ingest finds it here.
    faulthandler.enable(crash_fd)
    try:
        control = socket.socket(fileno=control_fd)
        # By name: ingest imports nothing of the transcode package.
        importlib.import_module(WORKER_MODULE).main(control, node_id, alone_s, ladders)
    except Exception:
        log.critical("process_failed", exc_info=True)
        sys.exit(1)


def run_measurement(answer_fd: int, cores: int) -> None:
    """The main function of the process that measures what this machine encodes. Nobody waits for it without ingest."""
    die_with_parent(os.getppid(), signal.SIGKILL)
    speed = importlib.import_module(_MEASURE_MODULE).encoded_megapixels_per_core_s(cores)
    with suppress(BrokenPipeError), os.fdopen(answer_fd, "w") as answer:  # broken: the node has ended meanwhile
        answer.write(repr(speed))


class WorkerProcess:
    """By its pidfd. `forked` is what the fork server knows of it; that is lost with the server, the process is not.

    Into `crash` it writes where it was when a signal such as SIGSEGV ended it.

    Raises `ProcessLookupError` when there is no such process.
    """

    def __init__(self, pid: int, forked: Forked | None = None, crash: socket.socket | None = None) -> None:
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
        return None if self._forked is None else self._forked.exit_code(_CODE_S)

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
            self._forked.close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)
