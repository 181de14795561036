"""One stream's live state on this node: its session, its worker, its encoder connection, its reconnect window."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from config.costs import session_units
from config.ladders import Ladder
from config.limits import IngestLimits
from config.session import Checkpoint, Ended, Failed, Health, Live, Note, Stats, encode_message
from ingest.admission import CLEAN, PublishRequest
from ingest.bitrate_cap import BitrateCap, cap_bps
from ingest.connected_encoder import ConnectedEncoder
from ingest.health import ConnectionHealth, told
from ingest.restarts import RestartLimit
from ingest.takeover import TakeoverRule
from ingest.tally import Tally
from ingest.transitions import Transitions
from ingest.workers import WORKER_DIED, Report, Worker
from streams.health import IngestHealth
from streams.model import Stream
from streams.nodes import WRITTEN_BACK_REASON, HostedSession
from streams.state import Event, EventType, State
from streams.times import utc_now

log = structlog.get_logger()

_FAILURE_EVENTS = {"unsupported_codec": Event.UNSUPPORTED_CODEC}


class Broadcast:
    """Lives from the accepted publish to the end of the session; then calls `on_over`."""

    def __init__(
        self,
        stream: Stream,
        session_id: str,
        worker: Worker,
        transitions: Transitions,
        limits: IngestLimits,
        clean_stop_ends: bool,
        on_over: Callable[[Broadcast], None],
        on_worker_died: Callable[[Broadcast], None],
        on_health: Callable[[Stream, IngestHealth | None], None],
        checkpoint: Checkpoint | None = None,
        tally: Tally | None = None,
        ladder: Ladder | None = None,
    ) -> None:
        self.stream = stream
        self.session_id = session_id
        self.worker = worker
        self.transitions = transitions
        self._limits = limits
        self._clean_stop_ends = clean_stop_ends
        self._takeover = TakeoverRule(limits.takeover_silence_s, limits.takeover_memory_s)
        self._on_over = on_over
        self._on_worker_died = on_worker_died
        self._on_health = on_health
        self._restarts = RestartLimit(limits.worker_restarts, limits.worker_restarts_within_s)
        self.checkpoint = checkpoint
        """How far the session has come on this node, or when it came here from another."""
        self._encoder: ConnectedEncoder | None = None
        self._tally = tally or Tally()
        self._begun_s = self._away_since_s = time.monotonic()
        self.stats: Stats | None = None
        """What the worker has measured last."""
        self.protocol = "none"
        """The protocol of the latest encoder, if this process has seen one."""
        self._ladder = ladder
        self.cost_units = session_units(ladder)
        """What the session needs of the node, see `config.costs`; better known once its source is."""
        self._connections = 0
        self._live = stream.state is State.LIVE  # gone on with after another node
        self._live_at = stream.started_at
        self.seq = stream.seq
        """That of the stream's newest event, as far as it has been heard of here."""
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._died_at_the_end = False
        self.let_gone = False
        """Whether another node has taken the session over."""
        self.finished = asyncio.Event()
        """Set when the worker has written the session's last byte, or is dead."""
        self._log = log.bind(stream_id=stream.stream_id, session_id=session_id)

    @property
    def over(self) -> bool:
        """Whether the session has ended or failed: it takes no encoder any more."""
        return self._over

    @property
    def hosted(self) -> HostedSession:
        """What other nodes should know of the session."""
        return HostedSession(
            stream_id=self.stream.stream_id,
            session_id=self.session_id,
            epoch=self.stream.epoch,
            delivering=self.delivering,
            checkpoint="" if self.checkpoint is None else encode_message(self.checkpoint).decode(),
        )

    @property
    def as_known_here(self) -> tuple[Stream, EventType]:
        """The stream as Redis should have it now, and the type of the event that says so."""
        state = State.LIVE if self._live else State.CONNECTING
        event_type = EventType.LIVE if self._live else EventType.CONNECTING
        stream = replace(
            self.stream,
            state=state,
            session_id=self.session_id,
            seq=self.seq,
            started_at=self._live_at,
            reason=WRITTEN_BACK_REASON,
        )
        return stream, EventType.DISCONNECTED if self._encoder is None else event_type

    @property
    def phase(self) -> str:
        """What an operator calls the state that it is in."""
        if self._encoder is None:
            return "reconnecting"
        return "live" if self._live else "connecting"

    @property
    def rtt_ms(self) -> float:
        """The round trip to the encoder, if its protocol measures it; else 0."""
        return 0.0 if self._encoder is None else self._encoder.usage.rtt_ms

    def count_usage(self) -> None:
        """Bring what is counted of the encoder's connection up to date."""
        now_s = time.monotonic()
        if self._encoder is not None:
            self._encoder.count_usage(self._tally)
        elif not self._over:
            self._tally.away_s[self.stream.quality] += now_s - self._away_since_s
        self._away_since_s = now_s

    @property
    def delivering(self) -> bool:
        """Whether an encoder is connected that has sent media within the take-over limit."""
        encoder = self._encoder
        return encoder is not None and time.monotonic() - encoder.last_media_s < self._limits.takeover_silence_s

    def takes(self, request: PublishRequest) -> bool:
        """Whether this encoder may have the session: there is no other, or one that has been silent for too long."""
        encoder, now_s = self._encoder, time.monotonic()
        if encoder is None:
            return True
        same_address = encoder.remote_host == request.remote_host
        return self._takeover.allows(now_s - encoder.last_media_s, now_s=now_s, same_address=same_address)

    def attach(self, request: PublishRequest) -> ConnectedEncoder:
        """Give the session to this encoder. One that has fallen silent is cut."""
        previous, self._encoder = self._encoder, None
        if previous is not None:
            self._takeover.taken_over(time.monotonic(), same_address=previous.remote_host == request.remote_host)
            previous.connection.close("taken_over")
        self._connections += 1
        self.count_usage()
        self.protocol = request.protocol
        health = ConnectionHealth(request, self.stream.quality)
        cap = BitrateCap(cap_bps(self._ladder, self._limits), self._limits.bitrate_window_s)
        ids = (self.stream.stream_id, self.session_id, self._connections)
        encoder = self._encoder = ConnectedEncoder(
            *ids, request, health, cap, self._limits.handoff_bytes, self._encoder_left
        )
        encoder.hand_to(self.worker, self.session_id, str(self._connections))
        if self._connections > 1 and previous is None:
            self._tally.reconnects[self.stream.quality] += 1
            self.transitions.submit(Event.ENCODER_BACK)
        self._arm(None if self._live else self._limits.no_usable_media_s, self._no_usable_media)
        self._log.debug("encoder_connected", protocol=request.protocol, connection=self._connections)
        return encoder

    def taken_up(self, *, live: bool, away_s: float, was_connected: bool) -> None:
        """A previous run of this process has begun the session; its encoder has been away for `away_s`."""
        self._connections, self._live = 1, live
        if was_connected:
            self.transitions.submit(Event.ENCODER_LOST, reason="ingest_restarted")
        self._arm(max(0.0, self.stream.reconnect_window_s - away_s), lambda: self.end("window_over"))

    def go_on_with(self, worker: Worker) -> None:
        """Another worker hosts the session from now on: it gets the media of the encoder that is connected."""
        self.worker = worker
        if self._over:
            worker.end(self.session_id)
        elif self._encoder is not None:
            self._connections += 1
            self._encoder.hand_to(worker, self.session_id, str(self._connections))

    def _encoder_left(self, encoder: ConnectedEncoder, reason: str) -> None:
        """The encoder's connection has ended: hold the session for its return."""
        encoder.count_usage(self._tally)
        if encoder is not self._encoder:
            return
        self.count_usage()
        self._encoder = None
        self._on_health(self.stream, None)
        self._tally.disconnects[self.stream.quality] += 1
        if self._over:
            return
        self._log.debug("encoder_left", reason=reason, window_s=self.stream.reconnect_window_s)
        if reason == CLEAN and self._clean_stop_ends:
            self.end("clean_stop")
            return
        self.transitions.submit(Event.ENCODER_LOST, reason=reason)
        self._arm(self.stream.reconnect_window_s, lambda: self.end("window_over"))

    def end(self, reason: str) -> None:
        """End the session: playlists are closed, the stream becomes ended."""
        self._finish(Event.WINDOW_OVER, reason)
        self.worker.end(self.session_id)

    def ended_elsewhere(self, reason: str) -> None:
        """The session is over in Redis already, by somebody else's doing: cut the encoder and close the playlists."""
        if not self._over:
            self._log.info("session_ended_elsewhere", reason=reason)
            self._finish(None, reason)
            self.worker.end(self.session_id)

    def let_go(self) -> None:
        """Another node has the session: cut the encoder and stop. Redis hears nothing, the playlists get no end."""
        if not self._over:
            self._log.warning("session_let_go")
            self.let_gone = True
            self._finish(None, "taken_over")
            self.worker.drop(self.session_id)

    def hand_over(self) -> bool:
        """Send the encoder away, so that it goes on on another node. Whether there was one to send."""
        if self._encoder is None or self._over or (self._live and self.checkpoint is None):
            return False
        self._encoder.connection.close("drain")
        return True

    def leave(self) -> None:
        """This node ends, and the session may go on on another: stop without an end of the playlists."""
        if not self._over:
            self.let_gone = True
            self._finish(None, "drain")
            self.worker.drop(self.session_id)

    def report(self, report: Report) -> None:
        """What the worker says of the session."""
        if isinstance(report, Live):
            if not self._over and not self._live:
                self._live, self._live_at = True, utc_now()
                tier = self.stream.quality
                self._tally.time_to_live[tier, self.protocol].observe(time.monotonic() - self._begun_s)
                if self._encoder is not None:
                    self._arm(None, None)
                self.transitions.submit(Event.RENDITIONS_READY)
        elif isinstance(report, Failed) and report.code == WORKER_DIED:
            self._worker_died(report)
        elif isinstance(report, Failed):
            if not self._over:
                self._log.warning("session_failed", code=report.code, message=report.message)
                # A session that is live can fail in one way only; the reason tells them apart.
                event = None if self._live else _FAILURE_EVENTS.get(report.code)
                self._tally.failed[self.stream.quality, report.code] += 1
                self._finish(event or Event.PIPELINE_FAILED, report.code)
        elif isinstance(report, Ended):
            self.finished.set()
            # A session that a previous run has left may turn out to be over.
            self._finish(Event.NODE_LOST, "node_restarted")
        elif isinstance(report, Health):
            if self._encoder is not None and (health := told(self._encoder.health, report.fields, self._log)):
                self._see_source(health)
                self._on_health(self.stream, health)
        elif isinstance(report, Stats):
            self.stats = report
            self._tally.take(self.stream.quality, report)
        elif isinstance(report, Checkpoint):
            self.checkpoint = report
        elif isinstance(report, Note):
            self._log.info(report.event, connection=self._connections, **report.fields)

    def _see_source(self, health: IngestHealth) -> None:
        video = health.video
        if video is not None and video.width_px and video.height_px:
            short_side_px = min(video.width_px, video.height_px)
            self.cost_units = session_units(self._ladder, short_side_px, video.fps_measured)

    def _worker_died(self, report: Failed) -> None:
        if self.finished.is_set():
            return
        was_over = self._over
        if not was_over and not self._restarts.take():
            self._log.warning("session_failed", code=report.code, message=report.message)
            self._tally.failed[self.stream.quality, WORKER_DIED] += 1
            self._finish(Event.PIPELINE_FAILED, WORKER_DIED)
        if self.let_gone or (was_over and self._died_at_the_end):
            self.finished.set()
            return
        # One that is over needs a worker once more, which ends the playlists.
        self._died_at_the_end = self._over
        self._on_worker_died(self)

    def _no_usable_media(self) -> None:
        self._finish(Event.NO_USABLE_MEDIA, "no_usable_media")
        self.worker.end(self.session_id)

    def _finish(self, event: Event | None, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._arm(None, None)
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.connection.close(reason)
        self._on_health(self.stream, None)
        if event is not None:
            self.transitions.submit(event, reason=reason)
        self._on_over(self)

    def _arm(self, delay_s: float | None, callback: Callable[[], None] | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if delay_s is not None and callback is not None:
            self._timer = asyncio.get_running_loop().call_later(delay_s, callback)
