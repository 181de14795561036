"""The Lua scripts, and what they are asked: one transition of the state table."""

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
    """The script `name`, with the shared function that writes a transition in front of it."""
    return (_LUA / "transition.lua").read_text() + "\n" + (_LUA / f"{name}.lua").read_text()


def transition_request(
    event: Event,
    *,
    stream_id: str,
    session_id: str,
    at: datetime,
    reason: str | None,
    data: Mapping[str, Any] | None,
    event_id: str | None = None,
    **more: str,
) -> str:
    """ARGV[1] of both scripts: the rows of `event`, and all that the hash and the appended event need.

    The event has its id before it is sent, so a request that is sent twice is seen to be one.
    """
    rows = {state.value: [row.to.value, row.emits.value] for state, row in rows_of(event).items()}
    request = {
        "rows": rows,
        "stream_id": stream_id,
        "session_id": session_id,
        "event_id": event_id or new_event_id(),
        "at_s": format_utc_s(at),
        "at_ms": format_utc_ms(at),
        "reason": reason or event.value,
        "data": json.dumps(data or {}),
        "events_max": str(EVENTS_MAX),
        **more,
    }
    return json.dumps(request)
