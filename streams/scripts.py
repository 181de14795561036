"""The Lua scripts, and what they are asked: a change of one stream and the event that tells of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from streams.ids import new_event_id
from streams.state import Event, rows_of
from streams.times import format_utc_ms, format_utc_s

EVENTS_MAX: Final = 100_000
"""About how many events the `events` stream keeps; a consumer that falls further behind has lost the oldest."""

_LUA = Path(__file__).parent / "lua"


def script_text(name: str) -> str:
    """The script `name` by itself."""
    return (_LUA / f"{name}.lua").read_text()


def change_script_text(name: str) -> str:
    """The script `name`, with the shared functions that change a stream in front of it."""
    return script_text("transition") + "\n" + script_text(name)


def change_request(
    *,
    prefix: str,
    stream_id: str,
    at: datetime,
    reason: str,
    data: Mapping[str, Any] | None,
    event_id: str | None = None,
    **more: Any,
) -> str:
    """ARGV[1] of every script that changes a stream: all that the appended event needs, and `more` by script.

    The event has its id before it is sent, so a request that is sent twice is seen to be one.
    """
    request = {
        "prefix": prefix,
        "stream_id": stream_id,
        "event_id": event_id or new_event_id(),
        "at_s": format_utc_s(at),
        "at_ms": format_utc_ms(at),
        "reason": reason,
        "data": json.dumps(data or {}),
        "events_max": str(EVENTS_MAX),
        **more,
    }
    return json.dumps(request)


def transition_request(
    event: Event,
    *,
    prefix: str,
    stream_id: str,
    at: datetime,
    reason: str | None,
    data: Mapping[str, Any] | None,
    event_id: str | None = None,
    **more: Any,
) -> str:
    """ARGV[1] of the scripts that apply the table: the rows of `event` besides."""
    return change_request(
        prefix=prefix,
        stream_id=stream_id,
        at=at,
        reason=reason or event.value,
        data=data,
        event_id=event_id,
        rows=rows_for_script(event),
        **more,
    )


def rows_for_script(event: Event) -> dict[str, list[str]]:
    """The rows of the table for an event, as the scripts want them: by state, the state after it and the event type."""
    return {state.value: [row.to.value, row.emits.value] for state, row in rows_of(event).items()}
