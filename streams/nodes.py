"""The media nodes in Redis: who is there, what each hosts, and what becomes of the sessions of one that is gone.

A node says every `HEARTBEAT_S` that it is there; its hash goes by itself when it has not for `LEASE_S`. The same script
writes what other nodes need to know of its sessions, and tells it which of them are not its own any more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import structlog
from redis.asyncio import Redis

from streams.keys import Keys
from streams.model import Stream
from streams.records import running_record, text
from streams.scripts import change_request, change_script_text, script_text, transition_request
from streams.state import Event, EventType
from streams.times import format_utc_s, utc_now

log = structlog.get_logger()

HEARTBEAT_S: Final = 2.0
LEASE_S: Final = 6.0
TAKEN_FOR_DEAD_S: Final = 4.0
"""How long a node must have been silent for another to take over a session whose encoder delivered to it."""

WRITTEN_BACK_REASON: Final = "written_back"
"""The reason of the event of a session that its node has written into a Redis without data."""

_REMEMBERED_S: Final = 86_400


class NodeState(StrEnum):
    """Whether a node takes new sessions."""

    READY = "ready"
    DRAINING = "draining"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A media node. `url` is where other nodes reach its origin; empty when they can't."""

    node_id: str
    url: str
    state: NodeState = NodeState.READY
    sessions: int = 0
    capacity_units: float = 0.0
    """What it carries, as `config.costs` counts; 0 when it does not know yet."""
    used_units: float = 0.0

    @property
    def is_draining(self) -> bool:
        """Whether it takes no new sessions."""
        return self.state is NodeState.DRAINING


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedSession:
    """A session that a node hosts, and what another node must know to go on with it."""

    stream_id: str
    session_id: str
    epoch: int
    delivering: bool
    """Whether its encoder is there and sends; if not, another node may take the session over."""
    checkpoint: str = ""
    """From where it can be gone on with: text that only session workers understand; empty: nothing is published yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatAnswer:
    """What a node hears in return."""

    lost: frozenset[str]
    """Ids of sessions that are not its own any more."""
    unknown: frozenset[str]
    """Ids of sessions that Redis knows nothing of."""
    drain_s: float | None
    """In how many seconds it is to drain."""


class NodeRegistry:
    """The nodes below one key prefix. Errors of Redis pass through."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._heartbeat = redis.register_script(script_text("heartbeat"))
        self._write_back = redis.register_script(change_script_text("write_back"))
        self._drain = redis.register_script(script_text("drain"))
        self._reap = redis.register_script(change_script_text("reap"))

    async def heartbeat(self, node: Node, hosted: Sequence[HostedSession]) -> HeartbeatAnswer:
        """The node is there. A session whose epoch has moved on gets nothing written."""
        keys = [self._keys.node(node.node_id), self._keys.nodes]
        for session in hosted:
            keys += [self._keys.stream(session.stream_id), self._keys.session(session.stream_id)]
        fields = ["url", node.url, "state", node.state.value, "sessions", str(node.sessions)]
        fields += ["capacity_units", f"{node.capacity_units:.1f}", "used_units", f"{node.used_units:.1f}"]
        args: list[str | int] = [
            node.node_id,
            round(LEASE_S * 1000),
            _REMEMBERED_S,
            json.dumps(fields),
            json.dumps(_told(hosted)),
        ]
        drain_s, *places = await self._heartbeat(keys=keys, args=args)
        return HeartbeatAnswer(
            lost=frozenset(hosted[int(place) - 1].session_id for place in places if int(place) > 0),
            unknown=frozenset(hosted[-int(place) - 1].session_id for place in places if int(place) < 0),
            drain_s=float(text(drain_s)) if drain_s else None,
        )

    async def write_back(self, stream: Stream, event_type: EventType) -> bool:
        """Write a running session and its stream into a Redis that has lost them, with an event of this type.

        False when it has this session, or a later one, after all; nothing is written then.
        """
        session = ["session_id", stream.session_id, "node_id", stream.node_id, "epoch", str(stream.epoch)]
        request = change_request(
            prefix=self._keys.prefix,
            stream_id=stream.stream_id,
            at=utc_now(),
            reason=WRITTEN_BACK_REASON,
            data=None,
            type=event_type.value,
            env=stream.env,
            edge_id=stream.edge_id,
            state=stream.state.value,
            position=str(stream.position),
            epoch=str(stream.epoch),
            node_id=stream.node_id,
            session_id=stream.session_id,
            record=[str(item) for pair in running_record(stream).items() for item in pair],
            session=[*session, "begun_at", format_utc_s(utc_now())],
        )
        keys = [
            *self._keys.of_stream(stream.stream_id),
            self._keys.key(stream.key_hash),
            self._keys.edge(stream.edge_id),
        ]
        (outcome,) = await self._write_back(keys=keys, args=[request])
        return text(outcome) == "written"

    async def ask_to_drain(self, node_id: str, limit_s: float) -> bool:
        """Let a node drain within so many seconds. False when it is not there."""
        return bool(await self._drain(keys=[self._keys.node(node_id)], args=[limit_s]))

    async def leave(self, node_id: str) -> None:
        """The node is gone, and says so."""
        await self._redis.delete(self._keys.node(node_id))

    async def nodes(self) -> list[Node]:
        """The nodes that are there."""
        found: Any = await self._redis.zrange(self._keys.nodes, 0, -1)
        node_ids = [text(node_id) for node_id in found]
        async with self._redis.pipeline(transaction=False) as pipe:
            for node_id in node_ids:
                pipe.hgetall(self._keys.node(node_id))
            hashes = await pipe.execute()
        return [_read(node_id, found) for node_id, found in zip(node_ids, hashes, strict=True) if found]

    async def missing_hosts(self) -> dict[str, list[str]]:
        """The nodes that are gone but still host sessions, as far as Redis knows: node id to stream ids."""
        hosted: dict[str, list[str]] = {}
        for stream_id, node_id in (await self._redis.hgetall(self._keys.sessions)).items():
            hosted.setdefault(text(node_id), []).append(text(stream_id))
        async with self._redis.pipeline(transaction=False) as pipe:
            for node_id in hosted:
                pipe.exists(self._keys.node(node_id))
            there = await pipe.execute()
        return {node_id: hosted[node_id] for node_id, exists in zip(list(hosted), there, strict=True) if not exists}

    async def reap(self, node_id: str, stream_ids: Collection[str]) -> None:
        """End the sessions of a node that is gone (event `node_lost`) whose window, since it was heard of, is over."""
        event = Event.NODE_LOST
        for stream_id in stream_ids:
            request = transition_request(
                event,
                prefix=self._keys.prefix,
                stream_id=stream_id,
                at=utc_now(),
                reason=None,
                data=None,
                node_id=node_id,
            )
            keys = [*self._keys.of_stream(stream_id), self._keys.node(node_id), self._keys.nodes]
            outcome, *rest = await self._reap(keys=keys, args=[request])
            if text(outcome) == "reaped":
                change = f"{text(rest[0])} -> {text(rest[1])}"
                log.warning("session_reaped", stream_id=stream_id, node_id=node_id, change=change)


def _told(hosted: Sequence[HostedSession]) -> list[Mapping[str, object]]:
    told: list[Mapping[str, object]] = []
    for session in hosted:
        fields = ["delivering", str(int(session.delivering))]
        if session.checkpoint:
            fields += ["checkpoint", session.checkpoint]
        told.append({"session_id": session.session_id, "epoch": str(session.epoch), "fields": fields})
    return told


def _read(node_id: str, found: Mapping[bytes | str, bytes | str]) -> Node:
    fields = {text(name): text(value) for name, value in found.items()}
    return Node(
        node_id=node_id,
        url=fields.get("url", ""),
        state=NodeState(fields.get("state", NodeState.READY)),
        sessions=int(fields.get("sessions", "0")),
        capacity_units=float(fields.get("capacity_units", "0")),
        used_units=float(fields.get("used_units", "0")),
    )
