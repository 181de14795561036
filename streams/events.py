"""What happened to a stream, as consumers of the Redis stream `events` read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from streams.records import text
from streams.state import EventType, State
from streams.times import parse_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """One event. `state` is the state after it; `seq` counts the events of one stream from 1 without a gap.

    `session_id` is that of the stream's latest session, and empty when it has had none.
    """

    id: str
    type: EventType
    env: str
    stream_id: str
    edge_id: str
    session_id: str
    state: State
    at: datetime
    seq: int
    reason: str
    data: Mapping[str, Any] = field(default_factory=dict)


def decode_event(fields: Mapping[bytes, bytes] | Mapping[str, str] | Mapping[bytes | str, bytes | str]) -> StreamEvent:
    """The event of one entry's fields, as `XREADGROUP` and `XRANGE` return them. Raises `ValueError`."""
    values = {text(name): text(value) for name, value in fields.items()}
    try:
        return StreamEvent(
            id=values["id"],
            type=EventType(values["type"]),
            env=values["env"],
            stream_id=values["streamId"],
            edge_id=values["edgeId"],
            session_id=values["sessionId"],
            state=State(values["state"]),
            at=parse_utc(values["at"]),
            seq=int(values["seq"]),
            reason=values["reason"],
            data=json.loads(values["data"]),
        )
    except KeyError as missing:
        raise ValueError(f"event without field {missing}: {sorted(values)}") from None
