"""The streams in Redis, the source of truth for streams, keys and states.

Each change of state is one Lua script that checks the state table, writes the stream's hash and appends the event, so
state and event cannot disagree. Errors of Redis (`redis.exceptions.RedisError`) pass through to the caller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import structlog
from pydantic import ValidationError
from redis.asyncio import Redis

from streams.api_keys import ApiKeys
from streams.changes import StreamChanges, new_stream
from streams.errors import AlreadyPublishing, KeyRevoked, StaleSession
from streams.health import IngestHealth
from streams.keys import DEFAULT_PREFIX, Keys
from streams.model import Claim, NodeSession, Stream, StreamPage
from streams.nodes import TAKEN_FOR_DEAD_S
from streams.records import read_flat_record, read_record, text
from streams.scripts import change_script_text, rows_for_script, script_text, transition_request
from streams.state import SESSION_STATES, Event, IllegalTransition, State
from streams.times import utc_now
from streams.viewers import ViewerCounts

log = structlog.get_logger()

RESUMED_REASON: Final = "node_changed"
"""The reason of `stream.reconnected` when another node goes on with the session."""


class StreamStore:
    """Streams, stream keys, sessions and API keys below one key prefix. Safe to share by tasks of one event loop."""

    def __init__(self, redis: Redis, prefix: str = DEFAULT_PREFIX) -> None:
        self.redis = redis
        self.keys = Keys(prefix)
        self.changes = StreamChanges(redis, self.keys)
        self.api_keys = ApiKeys(redis, self.keys)
        self.viewers = ViewerCounts(redis, self.keys)
        self._list = redis.register_script(script_text("list"))
        self._begin_session = redis.register_script(change_script_text("begin_session"))
        self._apply = redis.register_script(change_script_text("apply"))

    async def create(
        self, *, env: str, name: str, quality: str, low_latency: bool, recording: bool, reconnect_window_s: int
    ) -> tuple[Stream, str]:
        """A new idle stream and its stream key, which is returned here and kept nowhere."""
        stream, key = new_stream(
            env=env,
            name=name,
            quality=quality,
            low_latency=low_latency,
            recording=recording,
            reconnect_window_s=reconnect_window_s,
        )
        await self.changes.add(stream)
        return stream, key

    async def get(self, env: str, stream_id: str) -> Stream | None:
        """The stream, if it exists and belongs to this environment."""
        stream = await self._read(stream_id)
        return stream if stream is not None and stream.env == env else None

    async def list(
        self, env: str, *, limit: int, offset: int = 0, below: int | None = None, state: State | None = None
    ) -> StreamPage:
        """At most `limit` streams of an environment, newest first, after the first `offset` of them.

        `below` begins at older streams than the one of that `Stream.position`; `state` keeps to streams in that state,
        in the total too.
        """
        index = self.keys.environment_streams(env, None if state is None else state.value)
        total, has_more, *records = await self._list(
            keys=[index], args=[limit, offset, "" if below is None else below, self.keys.stream("")]
        )
        streams = tuple(read_flat_record(json.loads(record)) for record in records)
        return StreamPage(streams=streams, total=int(total), has_more=bool(has_more))

    async def health(self, stream_id: str) -> IngestHealth | None:
        """How the ingest of a stream is doing; None while no encoder is connected."""
        found = await self.redis.get(self.keys.health(stream_id))
        if found is None:
            return None
        try:
            return IngestHealth.model_validate_json(text(found))
        except ValidationError as error:
            log.error("health_not_understood", stream_id=stream_id, errors=error.error_count())
            return None

    async def find_by_key(self, key_hash: str) -> Stream | None:
        """The stream that accepts the key of this SHA-256 (`ids.key_hash`)."""
        stream_id = await self.redis.get(self.keys.key(key_hash))
        stream = await self._read(text(stream_id)) if stream_id is not None else None
        return stream if stream is not None and stream.key_hash == key_hash else None

    async def find_by_edge(self, edge_id: str) -> Stream | None:
        """The stream of a public id, in whatever environment."""
        stream_id = await self.redis.get(self.keys.edge(edge_id))
        return await self._read(text(stream_id)) if stream_id is not None else None

    async def begin_session(
        self, stream_id: str, *, key_hash: str, session_id: str, node_id: str, at: datetime | None = None
    ) -> Claim:
        """Claim a stream for a new session (event `publish_accepted`); of several at once exactly one succeeds.

        A session of another node that is gone, or to which no encoder delivers, is gone on with (event `encoder_back`,
        reason `node_changed`): its epoch moves on, so that node can write nothing more of it.

        Raises `KeyRevoked` when the stream does not accept this key, `AlreadyPublishing` when it has a session that
        can't be taken over.
        """
        while True:
            claim = await self._begin_or_resume(stream_id, key_hash, session_id, node_id, at or utc_now())
            if claim is not None:
                return claim

    async def _begin_or_resume(
        self, stream_id: str, key_hash: str, session_id: str, node_id: str, at: datetime
    ) -> Claim | None:
        """None when a session was in the way that nobody can go on with, and has been ended."""
        event = Event.PUBLISH_ACCEPTED
        request = transition_request(
            event,
            prefix=self.keys.prefix,
            stream_id=stream_id,
            session_id=session_id,
            at=at,
            reason=None,
            data=None,
            key_hash=key_hash,
            node_id=node_id,
            taken_for_dead_s=str(TAKEN_FOR_DEAD_S),
            resumed_rows=rows_for_script(Event.ENCODER_BACK),
            resumed_reason=RESUMED_REASON,
        )
        keys = [*self.keys.of_stream(stream_id), self.keys.nodes]
        outcome, *rest = await self._begin_session(keys=keys, args=[request])
        if text(outcome) == "revoked":
            raise KeyRevoked(stream_id)
        if text(outcome) == "busy":
            raise AlreadyPublishing(stream_id, State(text(rest[0])), text(rest[1]), float(rest[2]))
        if text(outcome) == "stranded":
            with suppress(StaleSession, IllegalTransition):  # somebody else has ended it
                await self.apply(stream_id, Event.NODE_LOST, session_id=text(rest[1]), epoch=int(rest[2]))
            return None
        stream = read_flat_record(rest[1])
        if text(outcome) == "resumed":
            self._log_transition(
                stream_id, str(stream.session_id), Event.ENCODER_BACK, text(rest[0]), stream.state, RESUMED_REASON
            )
            return Claim(stream=stream, epoch=stream.epoch, resumed=True, checkpoint=text(rest[2]))
        self._log_transition(stream_id, session_id, event, text(rest[0]), stream.state)
        return Claim(stream=stream, epoch=stream.epoch)

    async def apply(
        self,
        stream_id: str,
        event: Event,
        *,
        session_id: str,
        epoch: int,
        reason: str | None = None,
        data: Mapping[str, Any] | None = None,
        at: datetime | None = None,
        event_id: str | None = None,
    ) -> State:
        """Apply an event of a session and return the state after it. `reason` defaults to the event's name.

        A caller that tries again after an error of Redis passes the same `event_id` (`ids.new_event_id`) and `at` each
        time: the first try may have been applied, and the event then happens once.

        Raises `StaleSession` when session and epoch are not the stream's present ones, `IllegalTransition` when the
        table has no row for the event in the present state; nothing is written then.
        """
        request = transition_request(
            event,
            prefix=self.keys.prefix,
            stream_id=stream_id,
            session_id=session_id,
            at=at or utc_now(),
            reason=reason,
            data=data,
            event_id=event_id,
            epoch=str(epoch),
        )
        outcome, *rest = await self._apply(keys=self.keys.of_stream(stream_id), args=[request])
        if text(outcome) == "stale":
            raise StaleSession(stream_id, session_id, epoch)
        if text(outcome) == "illegal":
            raise IllegalTransition(State(text(rest[0])), event)
        state = State(text(rest[1]))
        self._log_transition(stream_id, session_id, event, text(rest[0]), state, reason)
        return state

    async def sessions_of_node(self, node_id: str) -> Sequence[NodeSession]:
        """The running sessions that a node hosts, or hosted until it crashed."""
        hosts = await self.redis.hgetall(self.keys.sessions)
        stream_ids = [text(stream_id) for stream_id, host in hosts.items() if text(host) == node_id]
        async with self.redis.pipeline(transaction=False) as pipe:
            for stream_id in stream_ids:
                pipe.hgetall(self.keys.stream(stream_id))
            streams = [read_record(record) for record in await pipe.execute() if record]
        return [
            NodeSession(
                stream=stream,
                stream_id=stream.stream_id,
                session_id=stream.session_id,
                epoch=stream.epoch,
                state=stream.state,
            )
            for stream in streams
            # A session may have ended, or begun elsewhere, since the first look.
            if stream.session_id is not None and stream.node_id == node_id and stream.state in SESSION_STATES
        ]

    async def add_api_key(self, env: str, key: str, label: str = "bootstrap") -> None:
        """Let an API key act for an environment. Only its SHA-256 is kept."""
        added = await self.api_keys.add(env, key, label=label)
        if added.revoked_at is not None:
            log.warning("api_key_stays_revoked", key_id=added.key_id, env=added.env)

    async def _read(self, stream_id: str) -> Stream | None:
        record = await self.redis.hgetall(self.keys.stream(stream_id))
        return read_record(record) if record else None

    def _log_transition(
        self, stream_id: str, session_id: str, event: Event, old: str, new: State, reason: str | None = None
    ) -> None:
        log.info(
            "stream_state",
            stream_id=stream_id,
            session_id=session_id,
            event_name=event.value,
            change=f"{old} -> {new.value}",
            reason=reason or event.value,
        )
