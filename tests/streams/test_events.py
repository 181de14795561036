"""Events as consumers read them, and the times in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from streams.events import decode_event
from streams.state import EventType, State
from streams.times import format_utc_ms, format_utc_s, parse_utc

FIELDS = {
    b"id": b"ev_1",
    b"type": b"stream.ended",
    b"env": b"red",
    b"streamId": b"ls_1",
    b"edgeId": b"lse_1",
    b"sessionId": b"se_1",
    b"state": b"ended",
    b"at": b"2026-03-15T10:00:00.250Z",
    b"seq": b"7",
    b"reason": b"window_over",
    b"data": b'{"a": [1]}',
}


@pytest.mark.parametrize("decoded", [False, True])
def test_decode(decoded: bool) -> None:
    event = decode_event({name.decode(): value.decode() for name, value in FIELDS.items()} if decoded else FIELDS)
    assert event.type is EventType.ENDED
    assert event.state is State.ENDED
    assert event.at == datetime(2026, 3, 15, 10, 0, 0, 250_000, UTC)
    assert (event.id, event.stream_id, event.edge_id, event.session_id) == ("ev_1", "ls_1", "lse_1", "se_1")
    assert event.env == "red"
    assert (event.seq, event.reason, event.data) == (7, "window_over", {"a": [1]})


@pytest.mark.parametrize("missing", FIELDS)
def test_a_missing_field_is_named(missing: bytes) -> None:
    with pytest.raises(ValueError, match=missing.decode()):
        decode_event({name: value for name, value in FIELDS.items() if name != missing})


def test_times_are_utc_with_a_z() -> None:
    at = datetime(2026, 3, 15, 12, 0, 0, 999_900, timezone(timedelta(hours=2)))
    assert format_utc_s(at) == "2026-03-15T10:00:00Z"
    assert format_utc_ms(at) == "2026-03-15T10:00:00.999Z"
    assert parse_utc(format_utc_ms(at)) == datetime(2026, 3, 15, 10, 0, 0, 999_000, UTC)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        format_utc_s(datetime(2026, 3, 15))
