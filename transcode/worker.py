"""The session worker process: hosts sessions, reads their media sockets, answers on its control socket.

A worker whose control socket ends has lost its ingest process: it ends its sessions and exits.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine

import uvloop

from config.session import (
    MAX_PACKET_BYTES,
    Connect,
    Container,
    Drop,
    End,
    Ended,
    Failed,
    Message,
    Open,
    decode_message,
    encode_message,
)
from transcode.begun import find_begun
from transcode.ladder_session import LadderSession
from transcode.passthrough_session import PassthroughSession
from transcode.session import Session
from transcode.units import BadMedia, UnsupportedCodec

_READ_BYTES = 256 * 1024
_CONGESTION_PAUSE_S = 0.02


class MediaReader:
    """Reads one media socket into its session until the end of file, a failure, or `close`."""

    def __init__(self, sock: socket.socket, session: Session, on_failure: Callable[[str, str], None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._session = session
        self._on_failure = on_failure
        self._buffer = bytearray(_READ_BYTES)
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._loop.add_reader(sock, self._readable)

    def close(self) -> None:
        """Stop reading. Idempotent."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._sock)
            self._sock.close()

    def _readable(self) -> None:
        try:
            size_bytes = self._sock.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            size_bytes = 0
        if size_bytes == 0:
            self.close()
            self._session.disconnected()
            return
        try:
            self._session.feed(memoryview(self._buffer)[:size_bytes])
        except UnsupportedCodec as error:
            # Said before the socket goes: ingest should learn the reason first, not a broken pipe.
            self._on_failure("unsupported_codec", str(error))
            self.close()
        except BadMedia as error:
            self._on_failure("bad_media", str(error))
            self.close()
        except Exception as error:
            # A fault of ours ends this session, and is told; the worker's other sessions go on.
            traceback.print_exception(error, file=sys.stderr)
            self._on_failure("pipeline_failed", f"{type(error).__name__}: {error}")
            self.close()
        if self._session.congested and not self._closed:
            self._loop.remove_reader(self._sock)
            self._loop.call_later(_CONGESTION_PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self._closed:
            return
        if self._session.congested:
            self._loop.call_later(_CONGESTION_PAUSE_S, self._resume)
        else:
            self._loop.add_reader(self._sock, self._readable)


class Host:
    """The sessions of this process and the control socket they answer on."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._sessions: dict[str, Session] = {}
        self._readers: dict[str, MediaReader] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.finished = asyncio.Event()
        control.setblocking(False)
        self._loop.add_reader(control, self._readable)

    def _readable(self) -> None:
        fds = array.array("i")
        try:
            packet, ancillary, _flags, _address = self._control.recvmsg(
                MAX_PACKET_BYTES, socket.CMSG_SPACE(fds.itemsize)
            )
        except BlockingIOError:
            return
        except OSError:
            packet, ancillary = b"", []
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        media = [socket.socket(fileno=fd) for fd in fds]
        if not packet:
            self._loop.remove_reader(self._control)
            self._spawn(self._end_all())
            return
        message = decode_message(packet)
        if isinstance(message, Open):
            self._open(message)
        elif isinstance(message, Connect):
            self._connect(message.session_id, message.container, media[0])
        elif isinstance(message, End):
            self._spawn(self._end(message.session_id))
        elif isinstance(message, Drop):
            self._spawn(self._end(message.session_id, final=False))
        else:
            raise ValueError(f"ingest sent {message.type!r}")

    def _open(self, message: Open) -> None:
        spec = message.spec
        kind = PassthroughSession if spec.quality == "passthrough" else LadderSession
        try:
            begun = find_begun(spec, message.checkpoint)
            if begun is not None and begun.ended:
                self._report(Ended(session_id=spec.session_id))
                return
            self._sessions[spec.session_id] = kind(spec, self._report, begun)
        except Exception as error:
            traceback.print_exception(error, file=sys.stderr)
            message_text = f"{type(error).__name__}: {error}"
            self._report(Failed(session_id=spec.session_id, code="pipeline_failed", message=message_text))

    def _connect(self, session_id: str, container: Container, media: socket.socket) -> None:
        session = self._sessions.get(session_id)
        previous = self._readers.pop(session_id, None)
        if previous is not None:
            previous.close()
        if session is None:
            media.close()
            return
        session.connected(container)

        def failed(code: str, message: str) -> None:
            self._report(Failed(session_id=session_id, code=code, message=message))

        self._readers[session_id] = MediaReader(media, session, failed)

    def _report(self, message: Message) -> None:
        """Send a message to ingest; from any thread."""
        if threading.current_thread() is not threading.main_thread():
            # The loop is closed only once every session has ended, so nobody reports later than that.
            self._loop.call_soon_threadsafe(self._report, message)
            return
        with contextlib.suppress(OSError):  # ingest is gone; its end of file is on the way
            self._control.send(encode_message(message))
        if isinstance(message, Failed):
            self._spawn(self._end(message.session_id))

    async def _end(self, session_id: str, *, final: bool = True) -> None:
        session = self._sessions.pop(session_id, None)
        reader = self._readers.pop(session_id, None)
        if reader is not None:
            reader.close()
        if session is not None:
            await asyncio.to_thread(session.end, final=final)
        self._report(Ended(session_id=session_id))

    async def _end_all(self) -> None:
        for session_id in list(self._sessions):
            await self._end(session_id)
        self.finished.set()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            traceback.print_exception(error, file=sys.stderr)


def main(control: socket.socket) -> None:
    """Run until the control socket ends. Ctrl-C is ingest's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def serve() -> None:
        host = Host(control)
        await host.finished.wait()

    uvloop.run(serve())
