"""All broadcasts of this node, and the decision who may publish."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from config.costs import session_units
from config.ladders import PASSTHROUGH
from config.limits import IngestLimits
from config.session import Checkpoint, Failed, Hosting, Live, decode_message
from config.settings import Settings
from ingest.admission import MediaSink, PublishRefused, PublishRequest, Refusal
from ingest.broadcast import Broadcast
from ingest.capacity import Capacity
from ingest.claims import Claims
from ingest.health import HealthWriter
from ingest.recovery import LeftSession, left_session
from ingest.session_files import EDGE_DIRS, hide_session, remove_empty, remove_left, remove_session
from ingest.session_spec import session_spec
from ingest.tally import Tally
from ingest.transitions import Transitions
from ingest.workers import WORKER_DIED, Worker, WorkerPool
from streams.events import StreamEvent
from streams.ids import key_hash
from streams.model import Claim, Stream
from streams.nodes import HostedSession
from streams.problems import problem_of
from streams.state import SESSION_STATES, Event, EventType, State
from streams.store import RESUMED_REASON, StreamStore

log = structlog.get_logger()

_SETTLE_S = 5.0
_SESSION_OVER = frozenset({EventType.ENDED, EventType.ERROR, EventType.KEY_ROTATED, EventType.DELETED})
_END_S = 10.0
_CLOSE_S = 1.0
_WORKER_RETRY_S = 0.3


class Broadcasts:
    """Admission by stream key: claims the stream in Redis, then gives the session a worker."""

    def __init__(self, store: StreamStore, workers: WorkerPool, settings: Settings, limits: IngestLimits, node_id: str):
        self._store = store
        self._workers = workers
        self._settings = settings
        self._limits = limits
        self._node_id = node_id
        self._media_dir = settings.effective_media_dir
        self._broadcasts: dict[str, Broadcast] = {}
        self._health = HealthWriter(store)
        self.tally = Tally()
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._claim = Claims(store, node_id, self._is_hosted)
        self._unsettled: set[Broadcast] = set()
        self.draining = False
        """Whether publishers are sent on to other nodes."""
        self._ladders = settings.all_ladders
        costs = {quality: session_units(self._ladders.get(quality)) for quality in settings.qualities}
        self.capacity = Capacity(costs, lambda: sum(broadcast.cost_units for broadcast in self.all()))
        self._handing_over = False
        self._closed = False
        self.on_moved: Callable[[], None] = lambda: None
        """Called when a session may have become another node's."""
        self._claims: dict[str, StreamEvent | None] = {}  # streams being claimed: the last news of a session's end

    async def publish(self, request: PublishRequest) -> MediaSink:
        """See `Admission.publish`."""
        try:
            return await self._publish(request)
        except PublishRefused as refused:
            self.tally.refused[request.protocol, refused.refusal.value] += 1
            raise

    def all(self) -> list[Broadcast]:
        """Those whose session is not over."""
        return [broadcast for broadcast in self._broadcasts.values() if not broadcast.over]

    def count_usage(self) -> None:
        """Bring the tally up to date."""
        for broadcast in self.all():
            broadcast.count_usage()

    async def _publish(self, request: PublishRequest) -> MediaSink:
        hashed = key_hash(request.key)
        stream = await self._stream_of(hashed)
        try:
            return await self._publish_to(stream, hashed, request)
        except PublishRefused as refused:
            refused.stream_id = stream.stream_id
            raise

    async def _publish_to(self, stream: Stream, hashed: str, request: PublishRequest) -> MediaSink:
        if self.draining:
            raise PublishRefused(Refusal.TRY_AGAIN, "this node takes no streams any more, connect again")
        lock = self._locks.setdefault(stream.stream_id, asyncio.Lock())
        async with lock:
            broadcast = self._broadcasts.get(stream.stream_id)
            if broadcast is not None and broadcast.over:
                await self._settled(broadcast)
                broadcast = None
            if broadcast is None:
                broadcast = await self._begin_if_it_fits(stream, hashed)
            elif not broadcast.takes(request):
                raise PublishRefused(Refusal.ALREADY_PUBLISHING, "another encoder is publishing this stream")
            if broadcast.over:
                raise PublishRefused(Refusal.TRY_AGAIN, "the session was ended while it began")
            return broadcast.attach(request)

    def delivering(self, stream_id: str) -> bool:
        """Whether an encoder publishes this stream on this node right now. May be called from any thread."""
        broadcast = self._broadcasts.get(stream_id)
        return broadcast is not None and not broadcast.over and broadcast.delivering

    def hosted(self) -> list[HostedSession]:
        """The sessions that this node hosts."""
        return [broadcast.hosted for broadcast in self.all()]

    def lost(self, session_ids: Collection[str]) -> None:
        """These sessions are another node's now: nothing more is written of them."""
        for broadcast in list(self._broadcasts.values()):
            if broadcast.session_id in session_ids and not broadcast.over:
                hide_session(self._media_dir / broadcast.stream.edge_id, broadcast.session_id)
                broadcast.let_go()

    def hand_over(self, most: int) -> None:
        """Send at most so many encoders away, to other nodes: those go on with their sessions."""
        self._handing_over = True
        for broadcast in list(self._broadcasts.values()):
            if most and broadcast.hand_over():
                most -= 1

    def stream_event(self, event: StreamEvent) -> None:
        """What happened to a stream, here or elsewhere: a session that is over for others is over here too."""
        if (here := self._broadcasts.get(event.stream_id)) is not None:
            here.seq = max(here.seq, event.seq)
        if event.type is EventType.RECONNECTED and event.reason == RESUMED_REASON:
            if event.stream_id in self._broadcasts:
                self.on_moved()
            return
        if event.type not in _SESSION_OVER:
            return
        if event.stream_id in self._claims:
            self._claims[event.stream_id] = event
        broadcast = self._broadcasts.get(event.stream_id)
        # An event that is older than the session tells of an earlier one.
        if broadcast is not None and event.seq > broadcast.stream.seq:
            broadcast.ended_elsewhere(event.reason)

    async def recover(self) -> None:
        """Go on with the sessions that a previous run of this node has left, and end those with which that can't be."""
        hosted = await self._workers.adopt()
        for session in await self._store.sessions_of_node(self._node_id):
            left = left_session(session, hosted, self._media_dir)
            hosted.pop(session.session_id, None)
            if left is None:
                await self._claim.abandon(session, "node_restarted")
            else:
                await self._take_up(left)
        for worker, hosting in hosted.values():
            await self._refuse(worker, hosting)
        # Only what is ours: the setting may name a directory that holds other things, too.
        kept = {broadcast.stream.edge_id for broadcast in self._broadcasts.values()}
        for directory in self._media_dir.glob(EDGE_DIRS):
            if directory.name not in kept:
                for session_dir in await asyncio.to_thread(remove_left, directory):
                    self._start(self._remove_media(session_dir))

    async def close(self) -> None:
        """End every session, or leave it to other nodes after a drain.

        Its last byte is written and its state in Redis then, if that is a matter of a moment.
        """
        broadcasts = list(self._broadcasts.values())
        for broadcast in broadcasts:
            if self._handing_over:
                broadcast.leave()
            else:
                broadcast.end("node_stopped")
        last_bytes = [broadcast.finished.wait() for broadcast in broadcasts]
        last_states = [broadcast.transitions.close() for broadcast in self._unsettled]
        try:
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.gather(*last_bytes, *last_states)
        except TimeoutError:
            # What is missing in Redis is made good by `recover` at the next start.
            log.warning("sessions_cut", sessions=len(broadcasts), after_s=_CLOSE_S)
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._health.close()

    async def _stream_of(self, hashed: str) -> Stream:
        # The key of a stream doesn't change as long as it has a session: an encoder that returns needs no Redis.
        for broadcast in self._broadcasts.values():
            if broadcast.stream.key_hash == hashed and not broadcast.over:
                return broadcast.stream
        try:
            stream = await self._store.find_by_key(hashed)
        except (RedisError, OSError) as error:
            log.warning("admission_unavailable", error=problem_of(error))
            raise PublishRefused(Refusal.TRY_AGAIN, "cannot check the stream key now, try again") from error
        if stream is None:
            raise PublishRefused(Refusal.WRONG_KEY, "no stream has this stream key")
        return stream

    async def _begin_if_it_fits(self, stream: Stream, hashed: str) -> Broadcast:
        # A session that goes on here, after another node, is not refused: it would end.
        if stream.state not in SESSION_STATES:
            if stream.quality not in (PASSTHROUGH, *self._ladders):
                message = f"this node has no ladder for the stream's quality {stream.quality!r}"
                raise PublishRefused(Refusal.UNKNOWN_QUALITY, message)
            if not self.capacity.has_room(stream.quality):
                raise PublishRefused(Refusal.FULL, "this node is full, try again later or on another node")
        with self.capacity.reserved(stream.quality):
            broadcast = await self._begin(stream, hashed)
        self.capacity.look()
        return broadcast

    async def _begin(self, stream: Stream, hashed: str) -> Broadcast:
        # The claim may be answered after the news that the session which it began is over.
        self._claims[stream.stream_id] = None
        try:
            broadcast = await self._claim_and_open(stream, hashed)
            event = self._claims[stream.stream_id]
        finally:
            del self._claims[stream.stream_id]
        if event is not None and event.seq > broadcast.stream.seq:
            broadcast.ended_elsewhere(event.reason)
        return broadcast

    async def _claim_and_open(self, stream: Stream, hashed: str) -> Broadcast:
        claim = await self._claim.claim(stream.stream_id, hashed)
        session_id = str(claim.stream.session_id)
        transitions = Transitions(self._store, stream.stream_id, session_id, claim.epoch)
        checkpoint = await self._checkpoint_of(claim, transitions)
        try:
            worker = await self._workers.worker_for(claim.stream.quality)
        except (OSError, EOFError) as error:
            log.error("worker_not_started", stream_id=stream.stream_id, error=str(error))
            transitions.submit(Event.PIPELINE_FAILED, reason="worker_not_started")
            await transitions.close()
            raise PublishRefused(Refusal.TRY_AGAIN, "no session worker could be started, try again") from error
        broadcast = self._add(claim.stream, session_id, worker, transitions, checkpoint)
        if claim.resumed:
            # What an earlier stay of the session on this node has left would mislead worker and origin.
            hide_session(self._media_dir / claim.stream.edge_id, session_id)
        worker.open(session_spec(self._settings, claim.stream, session_id), broadcast.report, checkpoint)
        return broadcast

    def _add(
        self,
        stream: Stream,
        session_id: str,
        worker: Worker,
        transitions: Transitions,
        checkpoint: Checkpoint | None = None,
    ) -> Broadcast:
        broadcast = Broadcast(
            stream,
            session_id,
            worker,
            transitions,
            self._limits,
            self._settings.clean_stop_ends,
            self._over,
            self._worker_died,
            self._health.put,
            checkpoint,
            self.tally,
            self._ladders.get(stream.quality),
        )
        self._broadcasts[stream.stream_id] = broadcast
        self._unsettled.add(broadcast)
        return broadcast

    async def _take_up(self, left: LeftSession) -> None:
        session, stream = left.session, left.session.stream
        worker = left.worker or await self._workers.worker_for(stream.quality)
        transitions = Transitions(self._store, stream.stream_id, session.session_id, session.epoch)
        broadcast = self._add(stream, session.session_id, worker, transitions)
        if left.worker is None:
            worker.open(session_spec(self._settings, stream, session.session_id), broadcast.report)
        else:
            worker.take_up(session.session_id, broadcast.report)
        away_s = round(left.away_s, 1)
        log.warning("session_taken_up", stream_id=stream.stream_id, session_id=session.session_id, away_s=away_s)
        is_live = session.state is State.LIVE
        if left.is_live and not is_live:
            broadcast.report(Live(session_id=session.session_id))
        broadcast.taken_up(live=is_live or left.is_live, away_s=left.away_s, was_connected=left.was_connected)

    async def _refuse(self, worker: Worker, hosting: Hosting) -> None:
        """A session of an adopted worker that is none of this node's any more: over, or another node's by now."""
        stream = await self._store.find_by_edge(hosting.edge_id)
        if stream is not None and stream.session_id == hosting.session_id and stream.state in SESSION_STATES:
            hide_session(self._media_dir / hosting.edge_id, hosting.session_id)
            worker.drop(hosting.session_id)
        else:
            worker.end(hosting.session_id)

    async def _checkpoint_of(self, claim: Claim, transitions: Transitions) -> Checkpoint | None:
        """From where a session of another node goes on. Raises `PublishRefused` when nobody can tell."""
        if not claim.checkpoint:
            return None
        try:
            checkpoint = decode_message(claim.checkpoint.encode())
            if isinstance(checkpoint, Checkpoint):
                return checkpoint
            problem = f"a {checkpoint.type!r}"
        except (ValueError, TypeError, KeyError) as error:
            problem = type(error).__name__
        log.error("checkpoint_not_understood", stream_id=claim.stream.stream_id, problem=problem)
        transitions.submit(Event.NODE_LOST, reason="checkpoint_not_understood")
        await transitions.close()
        raise PublishRefused(Refusal.TRY_AGAIN, "the session can't be gone on with, try again")

    async def _settled(self, broadcast: Broadcast) -> None:
        """Wait until the state of a session that is over has reached Redis, and one that left may come back."""
        if broadcast not in self._unsettled:
            return
        try:
            async with asyncio.timeout(_SETTLE_S):
                await broadcast.transitions.idle()
                if broadcast.let_gone:
                    await broadcast.finished.wait()
        except TimeoutError:
            raise PublishRefused(Refusal.TRY_AGAIN, "the last session is still ending, try again") from None

    def _is_hosted(self, session_id: str) -> bool:
        return any(broadcast.session_id == session_id for broadcast in self._unsettled)

    def _over(self, broadcast: Broadcast) -> None:
        self.capacity.look()
        self._start(self._clean_up(broadcast))

    def _worker_died(self, broadcast: Broadcast) -> None:
        if not self._closed:  # the pool ends its workers next
            self._start(self._replace_worker(broadcast))

    async def _replace_worker(self, broadcast: Broadcast) -> None:
        """Another worker goes on with the session where its journal ends."""
        stream = broadcast.stream
        try:
            worker = await self._workers.worker_for(stream.quality)
        except (OSError, EOFError) as error:
            log.error("worker_not_started", stream_id=stream.stream_id, error=str(error))
            await asyncio.sleep(_WORKER_RETRY_S)
            message = f"no session worker could be started: {error}"
            broadcast.report(Failed(session_id=broadcast.session_id, code=WORKER_DIED, message=message))
            return
        self.tally.workers_replaced[stream.quality] += 1
        log.warning("worker_replaced", stream_id=stream.stream_id, session_id=broadcast.session_id, pid=worker.pid)
        worker.open(session_spec(self._settings, stream, broadcast.session_id), broadcast.report, broadcast.checkpoint)
        broadcast.go_on_with(worker)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _clean_up(self, broadcast: Broadcast) -> None:
        stream_id = broadcast.stream.stream_id
        try:
            # Not `wait_for`: Python 3.11's may swallow a cancellation.
            async with asyncio.timeout(_END_S):
                await broadcast.finished.wait()
            self._workers.release(broadcast.worker)
        except TimeoutError:
            log.error("session_not_ended", stream_id=stream_id, session_id=broadcast.session_id, after_s=_END_S)
            self._workers.give_up(broadcast.worker, broadcast.session_id)
        if broadcast.let_gone and self._broadcasts.get(stream_id) is broadcast:
            # Its last words may have brought the journal back.
            hide_session(self._media_dir / broadcast.stream.edge_id, broadcast.session_id)
        await broadcast.transitions.close()
        self._unsettled.discard(broadcast)
        if self._broadcasts.get(stream_id) is broadcast:
            del self._broadcasts[stream_id]
        await asyncio.sleep(self._settings.ended_retention_s)
        await self._remove_media(self._media_dir / broadcast.stream.edge_id / broadcast.session_id)

    async def _remove_media(self, session_dir: Path) -> None:
        await remove_session(session_dir, lambda: self._is_hosted(session_dir.name))
        if not any(broadcast.stream.edge_id == session_dir.parent.name for broadcast in self._broadcasts.values()):
            # Without a thread, so that no session can begin in between.
            remove_empty(session_dir.parent)
