"""The state machine of a stream, as data.

A stream is `idle` until its first publisher is accepted, then `connecting` until viewers can fetch it, then `live`.
Each session ends in `ended` (it is over) or in `error` (it could not go on); from both, and from `idle`, the next
accepted publisher begins a new session.

- `renditions_ready` means: the first part of every rendition is fetchable.
- `encoder_lost` opens the reconnect window and changes no state: the session is held. That holds for `connecting` as
  for `live`: `encoder_back` within the window goes on with the same session, `window_over` ends it.
- `node_lost` is applied once the node is gone *and* the window is over, by whoever finds the orphaned session.
- `pipeline_failed` is applied once restarts did not help.
- `ended_by_api` ends a session now, whether viewers can fetch it yet or not. The stream key stays valid.

Every row appends exactly one event of the named type, with the state after the transition; a (state, event) pair
without a row raises `IllegalTransition`. The Lua scripts of the store get the rows from here, so the table exists once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Where a stream stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    LIVE = "live"
    ENDED = "ended"
    ERROR = "error"


class Event(StrEnum):
    """What happens to a stream."""

    PUBLISH_ACCEPTED = "publish_accepted"
    RENDITIONS_READY = "renditions_ready"
    NO_USABLE_MEDIA = "no_usable_media"
    UNSUPPORTED_CODEC = "unsupported_codec"
    PIPELINE_FAILED = "pipeline_failed"
    ENCODER_LOST = "encoder_lost"
    ENCODER_BACK = "encoder_back"
    WINDOW_OVER = "window_over"
    NODE_LOST = "node_lost"
    ENDED_BY_API = "ended_by_api"


class EventType(StrEnum):
    """What the `events` stream calls it. Those from `stream.created` on change no state and come from elsewhere."""

    CONNECTING = "stream.connecting"
    LIVE = "stream.live"
    DISCONNECTED = "stream.disconnected"
    RECONNECTED = "stream.reconnected"
    ENDED = "stream.ended"
    ERROR = "stream.error"
    CREATED = "stream.created"
    UPDATED = "stream.updated"
    KEY_ROTATED = "stream.key_rotated"
    DELETED = "stream.deleted"
    RECORDING_STARTED = "recording.started"
    RECORDING_READY = "recording.ready"
    RECORDING_FAILED = "recording.failed"
    RECORDING_DELETED = "recording.deleted"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: the state after it, and the type of the event that is appended."""

    to: State
    emits: EventType


_CONNECT = Transition(State.CONNECTING, EventType.CONNECTING)
_END = Transition(State.ENDED, EventType.ENDED)
_FAIL = Transition(State.ERROR, EventType.ERROR)

TABLE: Final[Mapping[State, Mapping[Event, Transition]]] = MappingProxyType(
    {
        State.IDLE: {Event.PUBLISH_ACCEPTED: _CONNECT},
        State.CONNECTING: {
            Event.RENDITIONS_READY: Transition(State.LIVE, EventType.LIVE),
            Event.NO_USABLE_MEDIA: _FAIL,
            Event.UNSUPPORTED_CODEC: _FAIL,
            Event.PIPELINE_FAILED: _FAIL,
            Event.ENCODER_LOST: Transition(State.CONNECTING, EventType.DISCONNECTED),
            Event.ENCODER_BACK: Transition(State.CONNECTING, EventType.RECONNECTED),
            Event.WINDOW_OVER: _END,
            Event.NODE_LOST: _END,
            Event.ENDED_BY_API: _END,
        },
        State.LIVE: {
            Event.ENCODER_LOST: Transition(State.LIVE, EventType.DISCONNECTED),
            Event.ENCODER_BACK: Transition(State.LIVE, EventType.RECONNECTED),
            Event.WINDOW_OVER: _END,
            Event.NODE_LOST: _END,
            Event.ENDED_BY_API: _END,
            Event.PIPELINE_FAILED: _FAIL,
        },
        State.ENDED: {Event.PUBLISH_ACCEPTED: _CONNECT},
        State.ERROR: {Event.PUBLISH_ACCEPTED: _CONNECT},
    }
)

SESSION_STATES: Final = frozenset({State.CONNECTING, State.LIVE})
"""The states in which a stream has a session."""


class IllegalTransition(Exception):
    """The table has no row for this event in this state."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"event {event.value!r} is not allowed in state {state.value!r}")
        self.state = state
        self.event = event


def transition(state: State, event: Event) -> Transition:
    """The row of this pair. Raises `IllegalTransition`."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise IllegalTransition(state, event) from None


def rows_of(event: Event) -> dict[State, Transition]:
    """The rows of one event by the state they start from."""
    return {state: rows[event] for state, rows in TABLE.items() if event in rows}
