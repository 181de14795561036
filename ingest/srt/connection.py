"""One SRT caller on the event loop: asks for its stream, hands its media on, keeps the time limit."""

from __future__ import annotations

import asyncio
import traceback
from typing import Protocol

import structlog

from config.limits import IngestLimits
from ingest.admission import CLEAN, Admission, MediaSink, PublishRefused, PublishRequest, about
from ingest.srt.receiver import Accepted
from ingest.srt.stats import SrtStats
from ingest.srt.stream_id import StreamIdError, parse_stream_id
from ingest.strangers import Strangers

log = structlog.get_logger()

TS_PACKET_BYTES = 188


class Callers(Protocol):
    """Who keeps the connections: the server."""

    limits: IngestLimits
    admission: Admission
    strangers: Strangers

    def read(self, u: int) -> None:
        """Begin to read this caller."""

    def forget(self, connection: SrtConnection) -> None:
        """The connection is over; close its socket."""


class SrtConnection:
    """From accept to close. Also the `EncoderConnection` that its stream may cut."""

    def __init__(self, server: Callers, caller: Accepted) -> None:
        self.u = caller.u
        self.remote_address = caller.remote_address
        self._ip = caller.ip
        self.stats: SrtStats | None = None
        """The latest statistics, a second old at most while media flow."""
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._sink: MediaSink | None = None
        self._end_reason: str | None = None
        self._rest = b""
        self._received_bytes = 0
        self._accepted_at_s = self._media_at_s = self._loop.time()

    async def decide(self, caller: Accepted) -> None:
        """Runs to its end even if the caller leaves meanwhile, so that a claim is never left without its owner."""
        encoder = f"libsrt {caller.peer_version}"
        try:
            key = parse_stream_id(caller.raw_stream_id, self._server.limits.srt_stream_id_bytes).key
            request = PublishRequest(
                key=key,
                protocol="srt",
                remote_address=self.remote_address,
                encoder=encoder,
                connection=self,
                transport=lambda: None if self.stats is None else self.stats.as_health(),
            )
            sink = await self._server.admission.publish(request)
        except PublishRefused as refused:
            self._end(refused.refusal.value, **refused.about)
        except StreamIdError as error:
            self._end(error.fault.value)
        except Exception as error:
            self._crash(error)
        else:
            if self._end_reason is not None:
                sink.close(self._end_reason)
                return
            self._sink = sink
            self._accepted_at_s = self._media_at_s = self._loop.time()
            log.info(
                "srt_publisher_connected",
                **about(sink),
                remote_address=self.remote_address,
                encoder=encoder,
            )
            self._server.read(self.u)

    def deliver(self, data: bytes) -> None:
        """Hand on what was received, in whole MPEG-TS packets."""
        if self._end_reason is not None or self._sink is None:
            return
        self._media_at_s = self._loop.time()
        self._received_bytes += len(data)
        if self._rest:
            data = self._rest + data
        whole_bytes = len(data) - len(data) % TS_PACKET_BYTES
        self._rest = data[whole_bytes:]
        if not whole_bytes:
            return
        try:
            self._sink.write([memoryview(data)[:whole_bytes]])
        except Exception as error:
            self._crash(error)

    def check_media(self) -> None:
        """Cut a caller that sends nothing: SRT's own keepalives would hold it for ever."""
        silent_s = self._loop.time() - self._media_at_s
        if self._sink is not None and silent_s > self._server.limits.no_media_s:
            self.close("no_media")

    def ended(self) -> None:
        """The caller is gone. SRT does not say how; one that was heard of to the end has said goodbye."""
        silent_s = self._loop.time() - self._media_at_s
        self._end("peer_lost" if silent_s > self._server.limits.srt_peer_idle_s / 2 else CLEAN)

    def close(self, reason: str) -> None:
        """See `EncoderConnection.close`."""
        self._end(reason)

    def _crash(self, error: Exception) -> None:
        """A bug must not take more than its own connection. The error's text is left out: it may quote the key."""
        log.error(
            "srt_internal_error",
            error=type(error).__name__,
            frames="".join(traceback.format_tb(error.__traceback__)),
            remote_address=self.remote_address,
        )
        self._end("internal_error")

    def _end(self, reason: str, **fields: object) -> None:
        if self._end_reason is not None:
            return
        self._end_reason = reason
        self._server.forget(self)
        sink, stats = self._sink, self.stats
        if sink is None:
            strangers = self._server.strangers
            strangers.failed(self._ip, reason)
            if strangers.may_log(self._ip):
                log.warning("srt_connection_refused", reason=reason, remote_address=self.remote_address, **fields)
            return
        log.info(
            "srt_publisher_left",
            reason=reason,
            **about(sink),
            remote_address=self.remote_address,
            duration_s=round(self._loop.time() - self._accepted_at_s, 1),
            received_bytes=self._received_bytes,
            lost_packets=stats.lost_packets if stats else 0,
            dropped_packets=stats.dropped_packets if stats else 0,
            **fields,
        )
        sink.close(reason)
