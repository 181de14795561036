"""The state table against the design, every pair of it."""

from __future__ import annotations

import itertools

import pytest

from streams.state import SESSION_STATES, TABLE, Event, EventType, IllegalTransition, State, rows_of, transition

# from, events, to, type of the event that is appended
DESIGN = """
idle        publish_accepted                                     connecting  stream.connecting
ended       publish_accepted                                     connecting  stream.connecting
error       publish_accepted                                     connecting  stream.connecting
connecting  renditions_ready                                     live        stream.live
connecting  no_usable_media,unsupported_codec,pipeline_failed    error       stream.error
connecting  encoder_lost                                         connecting  stream.disconnected
connecting  encoder_back                                         connecting  stream.reconnected
connecting  window_over,node_lost,ended_by_api                   ended       stream.ended
live        encoder_lost                                         live        stream.disconnected
live        encoder_back                                         live        stream.reconnected
live        window_over,node_lost,ended_by_api                   ended       stream.ended
live        pipeline_failed                                      error       stream.error
"""


def _designed() -> dict[tuple[State, Event], tuple[State, EventType]]:
    rows = {}
    for line in DESIGN.split("\n"):
        if line:
            start, events, end, emits = line.split()
            for event in events.split(","):
                rows[State(start), Event(event)] = State(end), EventType(emits)
    return rows


DESIGNED = _designed()


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_of_state_and_event(state: State, event: Event) -> None:
    expected = DESIGNED.get((state, event))
    if expected is None:
        with pytest.raises(IllegalTransition) as caught:
            transition(state, event)
        assert (caught.value.state, caught.value.event) == (state, event)
        assert state.value in str(caught.value)
        assert event.value in str(caught.value)
        assert state not in rows_of(event)
    else:
        row = transition(state, event)
        assert (row.to, row.emits) == expected
        assert rows_of(event)[state] == row


def test_every_state_has_rows_and_every_event_and_type_is_used() -> None:
    assert set(TABLE) == set(State)
    assert all(rows_of(event) for event in Event)
    of_the_table = {row.emits for rows in TABLE.values() for row in rows.values()}
    of_the_api = {EventType.CREATED, EventType.UPDATED, EventType.KEY_ROTATED, EventType.DELETED}
    of_recordings = {event for event in EventType if event.value.startswith("recording.")}
    assert of_the_table | of_the_api | of_recordings == set(EventType)
    assert not of_the_table & (of_the_api | of_recordings)


def test_only_an_accepted_publisher_begins_a_session() -> None:
    begins = {
        (state, event)
        for state, rows in TABLE.items()
        for event, row in rows.items()
        if state not in SESSION_STATES and row.to in SESSION_STATES
    }
    assert begins == {(state, Event.PUBLISH_ACCEPTED) for state in (State.IDLE, State.ENDED, State.ERROR)}
