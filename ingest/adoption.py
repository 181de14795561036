"""Session workers outlive the ingest process that started them: the next one finds them here and takes them over.

Each worker listens on a socket of the abstract namespace, whose name holds the node's id and its own process id. The
name goes with the worker, so what is found is alive.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from config.session import MAX_PACKET_BYTES, Hosted, Hosting, decode_message, worker_address
from ingest.worker_process import WorkerProcess

log = structlog.get_logger()

_SOCKETS = Path("/proc/net/unix")
_ANSWER_S = 2.0
_CREDENTIALS = struct.Struct("3i")  # process id, user id, group id


@dataclass(frozen=True, slots=True)
class Adopted:
    """A worker that answered: its process, its control socket, and what it hosts."""

    process: WorkerProcess
    control: socket.socket
    sessions: tuple[Hosting, ...]


def adopt_workers(node_id: str) -> Iterator[Adopted]:
    """The workers that a previous run of this node's ingest has left. One that does not answer is killed. Blocks."""
    for address in _listening(worker_address(node_id, "")):
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.settimeout(_ANSWER_S)
        try:
            control.connect(address)
            pid, uid, _gid = _CREDENTIALS.unpack(
                control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
            if uid != os.getuid():
                raise PermissionError(f"it runs as user {uid}")
            process = WorkerProcess(pid)
        except OSError as error:
            log.warning("worker_not_adopted", address=address[1:], error=str(error))
            control.close()
            continue
        try:
            sessions = tuple(_answer(control))
        except (OSError, ValueError) as error:
            # Nobody else may write its sessions before it is gone.
            log.error("worker_not_adopted", pid=pid, error=str(error))
            process.kill()
            process.wait(_ANSWER_S)
            process.close()
            control.close()
            continue
        yield Adopted(process, control, sessions)


def _listening(prefix: str) -> list[str]:
    lines = _SOCKETS.read_text(errors="replace").splitlines()
    names = {line.split()[-1] for line in lines[1:]}
    return sorted("\0" + name[1:] for name in names if name.startswith("@" + prefix[1:]))


def _answer(control: socket.socket) -> Iterator[Hosting]:
    while True:
        packet = control.recv(MAX_PACKET_BYTES)
        if not packet:
            raise ConnectionError("it hung up")
        message = decode_message(packet)
        if isinstance(message, Hosted):
            return
        if isinstance(message, Hosting):
            yield message
