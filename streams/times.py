"""Points in time as the API and the store write them: ISO 8601, UTC, with a `Z`."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present, aware of its zone."""
    return datetime.now(UTC)


def format_utc_s(at: datetime) -> str:
    """`2026-03-15T10:00:00Z`, whole seconds (rounded down). Raises `ValueError` for a time without a zone."""
    return _utc(at).isoformat(timespec="seconds").replace("+00:00", "Z")


def format_utc_ms(at: datetime) -> str:
    """`2026-03-15T10:00:00.123Z`. Raises `ValueError` for a time without a zone."""
    return _utc(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_utc(text: str) -> datetime:
    """The time that either of the above wrote. Raises `ValueError`."""
    return _utc(datetime.fromisoformat(text))


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"time without a zone: {at.isoformat()}")
    return at.astimezone(UTC)


def from_unix_ms(unix_ms: int) -> datetime:
    """The time of so many milliseconds since 1970."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC)
