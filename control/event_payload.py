"""An event as customers get it: the data of a server-sent event, the body of a webhook delivery."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from control.schemas import Schema
from streams.events import StreamEvent
from streams.times import format_utc_ms


class EventResource(Schema):
    """An event."""

    id: str = Field(description="the same whenever the event is delivered again")
    type: str = Field(description="such as `stream.live`")
    stream_id: str
    edge_id: str
    session_id: str = Field(description="empty when the stream has had no session yet")
    state: str = Field(description="state of the stream after the event")
    at: str = Field(description="ISO 8601, with milliseconds")
    seq: int = Field(description="counts the events of one stream from 1 without a gap")
    reason: str
    data: dict[str, Any]


def event_json(event: StreamEvent) -> str:
    """The event as one line of ASCII JSON. It holds no key: events are made without."""
    return payload_json(
        {
            "id": event.id,
            "type": event.type.value,
            "streamId": event.stream_id,
            "edgeId": event.edge_id,
            "sessionId": event.session_id,
            "state": event.state.value,
            "at": format_utc_ms(event.at),
            "seq": event.seq,
            "reason": event.reason,
            "data": event.data,
        }
    )


def payload_json(payload: dict[str, Any]) -> str:
    """A payload as one line of ASCII JSON."""
    return json.dumps(payload, separators=(",", ":"))
