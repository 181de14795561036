"""The read end of a media socket: what ingest writes of one encoder connection goes into its session."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from config.rounds import Rounds
from transcode.session import Session
from transcode.units import BadMedia, UnsupportedCodec

log = structlog.get_logger()

_READ_BYTES = 256 * 1024
_CONGESTION_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Shared:
    """What all readers of a worker share. Reads on one loop never overlap, so one buffer is enough."""

    rounds: Rounds = field(default_factory=Rounds)
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_READ_BYTES)))


class MediaReader:
    """Reads one media socket into its session until the end of file, a failure, or `close`."""

    def __init__(
        self,
        sock: socket.socket,
        session_id: str,
        session: Session,
        on_failure: Callable[[str, str], None],
        shared: Shared,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._session_id = session_id
        self._session = session
        self._on_failure = on_failure
        self._rounds = shared.rounds
        self._buffer = shared.buffer
        self.ended_s: float | None = None
        """When the encoder's connection ended, on the monotonic clock."""
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
        self._rounds.count_read()
        if size_bytes == 0:
            self.ended_s = time.monotonic()
            self.close()
            self._session.disconnected()
            return
        try:
            self._session.feed(self._buffer[:size_bytes])
        except UnsupportedCodec as error:
            # Said before the socket goes: ingest should learn the reason first, not a broken pipe.
            self._on_failure("unsupported_codec", str(error))
            self.close()
        except BadMedia as error:
            self._on_failure("bad_media", str(error))
            self.close()
        except Exception as error:
            # A fault of ours ends this session, and is told; the worker's other sessions go on.
            log.exception("session_broke", session_id=self._session_id)
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
