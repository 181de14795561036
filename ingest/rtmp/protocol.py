"""One accepted socket: moves bytes between it, the protocol core and the stream, and keeps the time limits."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import structlog

from config.limits import IngestLimits
from config.rounds import Rounds
from ingest.addresses import plain_ip
from ingest.admission import CLEAN, Admission, Buffer, MediaSink, PublishRefused, PublishRequest, about
from ingest.rtmp import flv, status
from ingest.rtmp.connection import ServerConnection, State
from ingest.rtmp.errors import ProtocolError
from ingest.rtmp.events import Event, Media, MetaData, PublishRequested, PublishStopped, Refused
from ingest.strangers import Strangers

RECEIVE_BUFFER_BYTES = 64 * 1024
MAX_UNSENT_BYTES = 64 * 1024
MAX_BUFFERS = 512
"""Handed on at once: half of what the system takes (IOV_MAX)."""

log = structlog.get_logger()


@dataclass(slots=True)
class Shared:
    """What all connections of one server share. Reads on one loop never overlap, so one receive buffer is enough."""

    admission: Admission
    limits: IngestLimits
    strangers: Strangers
    rounds: Rounds = field(default_factory=Rounds)
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(RECEIVE_BUFFER_BYTES)))
    connections: set[RtmpProtocol] = field(default_factory=set)
    decisions: set[asyncio.Task[None]] = field(default_factory=set)


class RtmpProtocol(asyncio.BufferedProtocol):
    """The connection of one encoder, from accept to close. Also the `EncoderConnection` that its stream may cut.

    `name` is `rtmp`, or `rtmps` behind TLS. `counted`: it has entered among the strangers already.
    """

    def __init__(self, shared: Shared, name: str = "rtmp", *, counted: bool = False) -> None:
        self._name = name
        self._shared = shared
        self._buffer = shared.buffer
        self._rounds = shared.rounds
        self._limits = shared.limits
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._core = ServerConnection(shared.limits)
        self._transport: asyncio.Transport | None = None
        self._ip = ""
        self._remote_address = ""
        self._counted = counted
        self._in_handshake = True
        self._sink: MediaSink | None = None
        self._end_reason: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._accepted_at_s = 0.0
        self._media_at_s = 0.0

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of this, so it cannot be checked.
        self._transport = transport = cast(asyncio.Transport, transport)
        self._shared.connections.add(self)
        peer = transport.get_extra_info("peername") or ("unknown", 0)
        self._ip = plain_ip(str(peer[0]))
        self._remote_address = f"[{self._ip}]:{peer[1]}" if ":" in self._ip else f"{self._ip}:{peer[1]}"
        if not self._counted:
            too_many = self._shared.strangers.enter(self._ip)
            if too_many is not None:
                self._fail(too_many)
                return
            self._counted = True
        transport.set_write_buffer_limits(high=MAX_UNSENT_BYTES)
        self._timer = self._loop.call_later(self._limits.handshake_s, self._on_handshake_deadline)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._rounds.count_read()
        self._receive(self._buffer[:nbytes])

    def pause_writing(self) -> None:
        self._fail("peer_does_not_read", detail=f"more than {MAX_UNSENT_BYTES} bytes unsent")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._counted:
            self._shared.strangers.leave(self._ip)
            self._counted = False
        self._shared.connections.discard(self)
        if not self.closed.done():
            self.closed.set_result(None)
        if self._end_reason is None:
            self._end("peer_closed" if exc is None else "connection_broken")

    # EncoderConnection

    def close(self, reason: str) -> None:
        """Cut this connection: a last status for the encoder, then the grace time, then the socket is closed."""
        if self._end_reason is not None:
            return
        self._core.stop(*status.CUTS.get(reason, status.OTHER_CUT))
        self._end(reason)
        self._close_after_grace()

    # The way of the bytes

    def _receive(self, data: memoryview) -> None:
        if self._end_reason is not None:
            return
        core = self._core
        try:
            core.receive_data(data)
            self._take_events()
        except ProtocolError as error:
            self._fail("protocol_error", detail=str(error))
            return
        except Exception as error:
            self._crash(error)
            return
        if self._in_handshake and self._end_reason is None and core.state is not State.HANDSHAKE:
            self._in_handshake = False
            self._set_timer(self._limits.connect_to_publish_s, self._on_publish_deadline)
        self._send()

    def _take_events(self) -> None:
        """Hand on what one read has brought: media as whole tags, together."""
        next_event, tag, has_sink = self._core.next_event, flv.tag, self._sink is not None
        tags: list[Buffer] = []
        try:
            while self._end_reason is None and (event := next_event()) is not None:
                if type(event) is Media and has_sink:
                    tag_type, timestamp_ms, body = event
                    tags += tag(tag_type, timestamp_ms, body)
                    if len(tags) > MAX_BUFFERS:
                        self._hand_on(tags)
                else:
                    self._hand_on(tags)
                    self._on_event(event)
        except ProtocolError:
            self._hand_on(tags)
            raise
        self._hand_on(tags)

    def _hand_on(self, tags: list[Buffer]) -> None:
        if tags and self._sink is not None and self._end_reason is None:
            self._sink.write(tags)
            self._media_at_s = self._loop.time()
        tags.clear()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, MetaData):
            if self._sink is not None:
                self._sink.write(flv.tag(flv.SCRIPT_TAG, event.timestamp_ms, event.body))
        elif isinstance(event, PublishRequested):
            self._pause_reading()
            request = PublishRequest(
                key=event.key,
                protocol=self._name,
                remote_address=self._remote_address,
                encoder=event.encoder,
                connection=self,
            )
            decision = self._loop.create_task(self._decide(request))
            self._shared.decisions.add(decision)
            decision.add_done_callback(self._shared.decisions.discard)
        elif isinstance(event, PublishStopped):
            self._end(CLEAN)
            # Reading goes on, so that the goodbye which is still under way does not turn our answer into a reset.
            self._send()
            self._set_timer(self._limits.refusal_grace_s, self._abort)
        elif isinstance(event, Refused):
            self._end(event.reason)
            self._close_after_grace()

    async def _decide(self, request: PublishRequest) -> None:
        """Runs to its end even if the encoder leaves meanwhile, so that a claim is never left without its owner."""
        try:
            sink = await self._shared.admission.publish(request)
        except PublishRefused as refused:
            if self._end_reason is None:
                self._core.refuse_publish(status.REFUSALS[refused.refusal], str(refused))
                self._end(refused.refusal.value, **refused.about)
                self._close_after_grace()
        except Exception as error:
            self._crash(error)
        else:
            if self._end_reason is not None:
                sink.close(self._end_reason)
                return
            try:
                self._accept(sink, request.encoder)
            except Exception as error:
                self._crash(error)

    def _accept(self, sink: MediaSink, encoder: str) -> None:
        self._sink = sink
        if self._counted:
            self._shared.strangers.leave(self._ip)
            self._counted = False
        self._accepted_at_s = self._media_at_s = self._loop.time()
        log.info(
            "rtmp_publisher_connected",
            **about(sink),
            remote_address=self._remote_address,
            encoder=encoder,
        )
        sink.write([flv.FILE_HEADER])
        if self._end_reason is not None:
            return
        self._core.accept_publish()
        self._set_timer(self._limits.no_media_s, self._on_media_deadline)
        self._receive(memoryview(b""))
        if self._end_reason is None and self._transport is not None:
            self._transport.resume_reading()

    def _send(self) -> None:
        data = self._core.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # Time limits. The one timer of a connection is set anew only when it fires or the state changes.

    def _set_timer(self, delay_s: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, callback)

    def _on_handshake_deadline(self) -> None:
        self._fail("handshake_timeout", detail=f"no handshake within {self._limits.handshake_s} s")

    def _on_publish_deadline(self) -> None:
        self.close("admission_timeout" if self._core.state is State.DECIDING else "publish_timeout")

    def _on_media_deadline(self) -> None:
        left_s = self._media_at_s + self._limits.no_media_s - self._loop.time()
        if left_s > 0:
            self._set_timer(left_s, self._on_media_deadline)
        else:
            self.close("no_media")

    # The end

    def _crash(self, error: Exception) -> None:
        """A bug must not take more than its own connection. The error's text is left out: it may quote the key."""
        log.error(
            "rtmp_internal_error",
            error=type(error).__name__,
            frames="".join(traceback.format_tb(error.__traceback__)),
            remote_address=self._remote_address,
        )
        self.close("internal_error")

    def _fail(self, reason: str, **fields: object) -> None:
        if self._end_reason is None:
            self._end(reason, **fields)
        self._abort()

    def _end(self, reason: str, **fields: object) -> None:
        """The connection is over for the stream and the log, once; the socket may stay open for its grace time."""
        self._end_reason = reason
        sink = self._sink
        if sink is None:
            # A load balancer's probe connects and leaves without a byte: nothing to warn about.
            probe = reason == "peer_closed" and not self._core.received_bytes
            strangers = self._shared.strangers
            strangers.failed(self._ip, reason)
            write = log.warning if not probe and strangers.may_log(self._ip) else log.debug
            write("rtmp_connection_refused", reason=reason, remote_address=self._remote_address, **fields)
            return
        log.info(
            "rtmp_publisher_left",
            reason=reason,
            **about(sink),
            remote_address=self._remote_address,
            duration_s=round(self._loop.time() - self._accepted_at_s, 1),
            received_bytes=self._core.received_bytes,
            **fields,
        )
        sink.close(reason)

    def _close_after_grace(self) -> None:
        """The peer gets time to read the answer; nothing more is read from it."""
        self._send()
        self._pause_reading()
        self._set_timer(self._limits.refusal_grace_s, self._abort)

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
