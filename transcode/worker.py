"""The session worker process: hosts sessions, reads their media sockets, answers on its control socket.

A worker whose control socket ends has lost its ingest process. Its sessions go on without an encoder, and for some
seconds the next ingest process may take it over with a control socket of its own. Then it ends, and leaves its
sessions for another worker to go on with.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Coroutine, Mapping

import structlog
import uvloop

from config.ladders import LADDERS, PASSTHROUGH, Ladder
from config.session import (
    MAX_PACKET_BYTES,
    Connect,
    Container,
    Drop,
    End,
    Ended,
    Failed,
    Hosted,
    Hosting,
    Live,
    Message,
    Open,
    Ping,
    Pong,
    SessionSpec,
    decode_message,
    encode_message,
    worker_address,
)
from transcode.begun import find_begun
from transcode.media_reader import MediaReader, Shared
from transcode.passthrough_session import PassthroughSession
from transcode.session import Session

log = structlog.get_logger()

_SAME_TIME_S = 0.5
_STATS_EVERY_S = 2.0
_CREDENTIALS = struct.Struct("3i")  # process id, user id, group id


class Host:
    """The sessions of this process and the control socket they answer on."""

    def __init__(self, control: socket.socket, node_id: str, alone_s: float, ladders: Mapping[str, Ladder]) -> None:
        self._control = control
        self._ladders = ladders
        self._alone_s = alone_s
        self._loop = asyncio.get_running_loop()
        self._shared = Shared()
        self._sessions: dict[str, Session] = {}
        self._specs: dict[str, SessionSpec] = {}
        self._live: set[str] = set()
        self._readers: dict[str, MediaReader] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._alone_since_s: float | None = None
        self._give_up: asyncio.TimerHandle | None = None
        self._listener: socket.socket | None = None
        self.finished = asyncio.Event()
        self._cpu_s = 0.0
        self._loop.call_later(_STATS_EVERY_S, self._tell_stats)
        if node_id:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._listener.bind(worker_address(node_id, str(os.getpid())))
            self._listener.listen()
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._accept)
        self._follow(control)

    def _follow(self, control: socket.socket) -> None:
        self._control = control
        control.setblocking(False)
        self._loop.add_reader(control, self._readable)

    def _accept(self) -> None:
        """Another ingest process takes over; the one before it, if it is still there, is not listened to any more."""
        assert self._listener is not None
        try:
            control, _ = self._listener.accept()
        except OSError:
            return
        if os.getuid() != _user_of(control):
            control.close()
            return
        if self._alone_since_s is None:
            self._drop_control()
        if self._give_up is not None:
            self._give_up.cancel()
        alone_since_s, self._alone_since_s = self._alone_since_s, None
        self._follow(control)
        for session_id in self._sessions:
            self._report(self._hosting(session_id, alone_since_s))
        self._report(Hosted(sessions=len(self._sessions)))

    def _hosting(self, session_id: str, alone_since_s: float | None) -> Hosting:
        reader, now_s = self._readers.get(session_id), time.monotonic()
        ended_s = reader.ended_s if reader is not None else None
        # Without its ingest process a session has no encoder; both ends come at about the same time.
        lost_s = alone_since_s if alone_since_s is not None else now_s
        was_connected = reader is not None and (ended_s is None or ended_s > lost_s - _SAME_TIME_S)
        return Hosting(
            session_id=session_id,
            edge_id=self._specs[session_id].edge_id,
            quality=self._specs[session_id].quality,
            live=session_id in self._live,
            away_s=now_s - (ended_s if ended_s is not None else lost_s),
            was_connected=was_connected,
        )

    def _drop_control(self) -> None:
        self._loop.remove_reader(self._control)
        self._control.close()

    def _alone(self) -> None:
        self._drop_control()
        self._alone_since_s = time.monotonic()
        if self._listener is None or not self._sessions:
            self._leave()
        else:
            self._give_up = self._loop.call_later(self._alone_s, self._leave)

    def _leave(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
        self._spawn(self._end_all())

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
            self._alone()
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
        elif isinstance(message, Ping):
            self._report(Pong())
        else:
            raise ValueError(f"ingest sent {message.type!r}")

    def _open(self, message: Open) -> None:
        spec = message.spec
        try:
            begun = find_begun(spec, message.checkpoint)
            if begun is not None and begun.ended:
                self._report(Ended(session_id=spec.session_id))
                return
            if spec.quality == PASSTHROUGH:
                self._sessions[spec.session_id] = PassthroughSession(spec, self._report, begun)
            else:
                # Here: passthrough does without what it loads.
                from transcode.ladder_session import LadderSession

                self._sessions[spec.session_id] = LadderSession(spec, self._report, begun, ladders=self._ladders)
            self._specs[spec.session_id] = spec
        except Exception as error:
            log.exception("session_not_opened", stream_id=spec.stream_id, session_id=spec.session_id)
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

        self._readers[session_id] = MediaReader(media, session_id, session, failed, self._shared)

    def _report(self, message: Message) -> None:
        """Send a message to ingest; from any thread."""
        if threading.current_thread() is not threading.main_thread():
            # The loop is closed only once every session has ended, so nobody reports later than that.
            self._loop.call_soon_threadsafe(self._report, message)
            return
        if isinstance(message, Live):
            self._live.add(message.session_id)
        with contextlib.suppress(OSError):  # ingest is gone
            self._control.send(encode_message(message))
        if isinstance(message, Failed):
            self._spawn(self._end(message.session_id))

    def _tell_stats(self) -> None:
        if self.finished.is_set():
            return
        for session in self._sessions.values():
            # The worker's time is told once, whoever of its sessions it was for.
            before_s, self._cpu_s = self._cpu_s, time.process_time()
            self._report(session.stats(self._cpu_s - before_s))
        self._loop.call_later(_STATS_EVERY_S, self._tell_stats)

    async def _end(self, session_id: str, *, final: bool = True) -> None:
        session = self._sessions.pop(session_id, None)
        self._live.discard(session_id)
        self._specs.pop(session_id, None)
        reader = self._readers.pop(session_id, None)
        if reader is not None:
            reader.close()
        if session is not None:
            await asyncio.to_thread(session.end, final=final)
        self._report(Ended(session_id=session_id))

    async def _end_all(self) -> None:
        for session_id in list(self._sessions):
            # Whoever starts ingest again may go on with it.
            await self._end(session_id, final=False)
        self.finished.set()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", exc_info=error)


def _user_of(peer: socket.socket) -> int:
    _pid, uid, _gid = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)


def main(
    control: socket.socket, node_id: str = "", alone_s: float = 0.0, ladders: Mapping[str, Ladder] = LADDERS
) -> None:
    """Run until the control socket ends and no ingest process of this node takes over within `alone_s`.

    Without a `node_id` none can. Ctrl-C is ingest's business.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is loaded stays: the collector need not look at it, and its pages stay shared with the server process.
    gc.freeze()

    async def serve() -> None:
        host = Host(control, node_id, alone_s, ladders)
        await host.finished.wait()

    uvloop.run(serve())
