"""The encoder connection that a broadcast has now: the media sink that its protocol server writes to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from config.session import Container
from ingest.admission import Buffer, PublishRequest
from ingest.bitrate_cap import BitrateCap, BitrateWatch
from ingest.handoff import WORKER_GONE, Handoff
from ingest.health import ConnectionHealth
from ingest.preamble import FlvPreamble
from ingest.tally import Tally
from ingest.usage import Usage
from ingest.workers import Worker

BITRATE_TOO_HIGH = "bitrate_too_high"

# What the protocol servers hand on, by `PublishRequest.protocol`.
_CONTAINERS: dict[str, Container] = {"rtmp": "flv", "rtmps": "flv", "srt": "mpegts"}
_NEW_WORKER_S = 3.0
"""How long a connection that its worker has let go of waits for another worker."""


class ConnectedEncoder:
    """Hands media on to the session's worker, and to the next one when that dies: the encoder notices nothing."""

    def __init__(
        self,
        stream_id: str,
        session_id: str,
        connection_number: int,
        request: PublishRequest,
        health: ConnectionHealth,
        cap: BitrateCap,
        handoff_bytes: int,
        on_left: Callable[[ConnectedEncoder, str], None],
    ) -> None:
        self.stream_id = stream_id
        self.session_id = session_id
        self.connection_number = connection_number
        self.connection = request.connection
        self.remote_host = request.remote_host
        self.protocol = request.protocol
        self.usage = Usage(request.protocol, request.transport)
        self.health = health
        self.last_media_s = time.monotonic()
        self._container = _CONTAINERS[request.protocol]
        # MPEG-TS repeats what a reader needs by itself.
        self._preamble = FlvPreamble() if self._container == "flv" else None
        self._handoff_bytes = handoff_bytes
        self._on_left = on_left
        self._handoff: Handoff | None = None
        self._taken_bytes = 0
        self._watch = BitrateWatch(cap, lambda: self._taken_bytes, lambda: self.connection.close(BITRATE_TOO_HIGH))
        self._closed = False

    def hand_to(self, worker: Worker, session_id: str, connection_id: str) -> None:
        """From now on this worker gets the media."""
        sock = worker.connect(session_id, connection_id, self._container)

        def failed(reason: str) -> None:
            if reason == WORKER_GONE:
                # A worker that gives up says why before it closes; that reason is the better one.
                worker.read_reports()
                # One that was killed closes its sockets in any order; another worker may be on its way.
                asyncio.get_running_loop().call_later(_NEW_WORKER_S, self._give_up, handoff)
            else:
                self.connection.close(reason)

        handoff = self._handoff = Handoff(sock, self._handoff_bytes, failed)
        if self._preamble is not None and (data := self._preamble.data()):
            handoff.write([data])

    def count_usage(self, tally: Tally) -> None:
        """Add what the connection has brought since the last time."""
        self.usage.count(self._taken_bytes, tally)

    def write(self, buffers: Sequence[Buffer]) -> None:
        """See `MediaSink.write`."""
        self.last_media_s = time.monotonic()
        if self._preamble is not None:
            self._preamble.note(buffers)
        self._taken_bytes += sum(map(len, buffers))
        if self._handoff is not None:
            self._handoff.write(buffers)

    def close(self, reason: str) -> None:
        """See `MediaSink.close`."""
        self._closed = True
        self._watch.close()
        if self._handoff is not None:
            self._handoff.close()
        self._on_left(self, reason)

    def _give_up(self, handoff: Handoff) -> None:
        if handoff is self._handoff and not self._closed:
            self.connection.close(WORKER_GONE)
