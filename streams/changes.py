"""What the owner of a stream does to it: create, change, rotate the key, end the session, delete.

Each is one Lua script, as is the claim of a publisher (`StreamStore.begin_session`), so of the two one comes first: a
stream that goes live has a key that works, and a stream that was deleted never goes live.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NoReturn

import structlog
from redis.asyncio import Redis

from streams import ids
from streams.errors import StreamBusy, StreamNotFound
from streams.keys import Keys
from streams.model import Stream
from streams.records import changed_fields, new_record, read_flat_record, text
from streams.scripts import change_request, change_script_text, transition_request
from streams.state import SESSION_STATES, Event, EventType, IllegalTransition, State
from streams.times import utc_now

log = structlog.get_logger()

REQUEST_KEPT: Final = timedelta(minutes=1)
"""How long a request that was carried out is remembered, should the client send it again."""

_SHOWN_NAMES: Final = {"low_latency": "lowLatency", "reconnect_window_s": "reconnectWindowSeconds"}
_BUSY: Final = {state.value: True for state in SESSION_STATES}
_REASON: Final = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """An answer to keep with what was done, for whoever asks again under the same name."""

    name_hash: str
    text: str = field(repr=False)  # encrypted: it holds a stream key
    kept: timedelta


def new_stream(
    *, env: str, name: str, quality: str, low_latency: bool, recording: bool, reconnect_window_s: int
) -> tuple[Stream, str]:
    """A new idle stream, as it will be once it is added, and its stream key, which is kept nowhere else."""
    key = ids.new_stream_key()
    stream = Stream(
        stream_id=ids.new_stream_id(),
        edge_id=ids.new_edge_id(),
        env=env,
        name=name,
        quality=quality,
        low_latency=low_latency,
        recording=recording,
        reconnect_window_s=reconnect_window_s,
        state=State.IDLE,
        created_at=utc_now().replace(microsecond=0),
        key_hash=ids.key_hash(key),
        seq=1,
    )
    return stream, key


class StreamChanges:
    """The changes, each with its event. Errors of Redis pass through; a change may have been made all the same."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._keys = keys
        self._create = redis.register_script(change_script_text("create"))
        self._change = redis.register_script(change_script_text("change"))
        self._delete = redis.register_script(change_script_text("delete"))
        self._end_session = redis.register_script(change_script_text("end_session"))

    async def add(self, stream: Stream, answer: KeptAnswer | None = None) -> str | None:
        """Add a stream of `new_stream` (event `stream.created`).

        With `answer`, and one kept under that name already: add nothing and return the kept one. Raises
        `StreamNotFound` when the stream that it tells of was deleted since.
        """
        shown = {"name": stream.name, "quality": stream.quality}
        request = self._request(
            stream.stream_id,
            EventType.CREATED,
            data={**shown, "lowLatency": stream.low_latency, "recording": stream.recording},
            env=stream.env,
            edge_id=stream.edge_id,
            state=stream.state.value,
            at_us=str(time.time_ns() // 1000),
            record=[str(item) for pair in new_record(stream).items() for item in pair],
            **({} if answer is None else {"answer": answer.text, "answer_kept_s": _seconds(answer.kept)}),
        )
        keys = [
            self._keys.stream(stream.stream_id),
            self._keys.key(stream.key_hash),
            self._keys.edge(stream.edge_id),
            self._keys.events,
        ]
        if answer is not None:
            keys.append(self._keys.answer(answer.name_hash))
        outcome, *rest = await self._create(keys=keys, args=[request])
        if text(outcome) == "kept":
            if not rest[1]:
                raise StreamNotFound(stream.stream_id)
            return text(rest[0])
        log.info("stream_created", stream_id=stream.stream_id, env=stream.env, quality=stream.quality)
        return None

    async def update(self, env: str, stream_id: str, fields: Mapping[str, str | int]) -> Stream:
        """Set `name`, `quality`, `low_latency`, `recording` or `reconnect_window_s`.

        The event is `stream.updated`, with the new values in `data`.

        Raises `StreamNotFound`, and `StreamBusy` while the stream has a session.
        """
        data = {_SHOWN_NAMES.get(name, name): value for name, value in fields.items()}
        request = self._request(
            stream_id, EventType.UPDATED, data=data, env=env, record=changed_fields(fields), busy=_BUSY
        )
        return await self._changed("stream_updated", stream_id, request)

    async def rotate_key(self, env: str, stream_id: str) -> tuple[Stream, str]:
        """A new stream key (event `stream.key_rotated`), returned here and kept nowhere; the old one is dead at once.

        Raises `StreamNotFound`, and `StreamBusy` while the stream has a session.
        """
        key = ids.new_stream_key()
        key_hash = ids.key_hash(key)
        record = changed_fields({"key_hash": key_hash})
        request = self._request(stream_id, EventType.KEY_ROTATED, env=env, record=record, key_hash=key_hash, busy=_BUSY)
        return await self._changed("stream_key_rotated", stream_id, request), key

    async def delete(self, env: str, stream_id: str) -> None:
        """Delete a stream (event `stream.deleted`).

        Raises `StreamNotFound`, and `StreamBusy` while the stream has a session.
        """
        event_id = ids.new_event_id()
        request = self._request(
            stream_id, EventType.DELETED, env=env, busy=_BUSY, event_id=event_id, request_kept_s=_seconds(REQUEST_KEPT)
        )
        keys = [*self._keys.of_stream(stream_id), self._keys.request(event_id)]
        outcome, *rest = await self._delete(keys=keys, args=[request])
        if text(outcome) != "ok":
            _refuse(text(outcome), rest, stream_id)
        log.info("stream_deleted", stream_id=stream_id, env=env)

    async def end_session(self, env: str, stream_id: str) -> Stream:
        """End the session of a stream now, whoever hosts it (event `ended_by_api`). Its key stays valid.

        Raises `StreamNotFound`, and `IllegalTransition` when it has no session.
        """
        event, event_id = Event.ENDED_BY_API, ids.new_event_id()
        request = transition_request(
            event,
            prefix=self._keys.prefix,
            stream_id=stream_id,
            at=utc_now(),
            reason=None,
            data=None,
            event_id=event_id,
            env=env,
            request_kept_s=_seconds(REQUEST_KEPT),
        )
        keys = [*self._keys.of_stream(stream_id), self._keys.request(event_id)]
        outcome, *rest = await self._end_session(keys=keys, args=[request])
        if text(outcome) == "illegal":
            raise IllegalTransition(State(text(rest[0])), event)
        if text(outcome) != "ok":
            _refuse(text(outcome), rest, stream_id)
        log.info("session_ended_by_api", stream_id=stream_id, env=env)
        return read_flat_record(rest[0])

    async def _changed(self, what: str, stream_id: str, request: str) -> Stream:
        outcome, *rest = await self._change(keys=self._keys.of_stream(stream_id), args=[request])
        if text(outcome) != "ok":
            _refuse(text(outcome), rest, stream_id)
        stream = read_flat_record(rest[0])
        log.info(what, stream_id=stream_id, env=stream.env)
        return stream

    def _request(
        self, stream_id: str, event_type: EventType, *, data: Mapping[str, Any] | None = None, **more: Any
    ) -> str:
        return change_request(
            prefix=self._keys.prefix,
            stream_id=stream_id,
            at=utc_now(),
            reason=_REASON,
            data=data,
            type=event_type.value,
            **more,
        )


def _seconds(time_kept: timedelta) -> str:
    return str(int(time_kept.total_seconds()))


def _refuse(outcome: str, rest: list[bytes | str], stream_id: str) -> NoReturn:
    if outcome == "busy":
        raise StreamBusy(stream_id, State(text(rest[0])))
    if outcome == "missing":
        raise StreamNotFound(stream_id)
    raise RuntimeError(f"the script answered {outcome!r}")
