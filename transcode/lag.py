"""How far behind its own clock a source arrives: the base against which "late" is judged and wall time is derived."""

from __future__ import annotations

_BUCKET_S = 15.0
_SLEW_S_PER_S = 0.0005


class ArrivalLag:
    """The least `arrival - media time` of the last 15 to 30 seconds, in seconds of session time.

    The minimum follows a source clock that drifts against ours and ignores network stalls, which only add.
    """

    def __init__(self) -> None:
        self._bucket_start_s = 0.0
        self._minimum_s: float | None = None
        self._previous_minimum_s: float | None = None

    def observe(self, arrival_s: float, media_s: float) -> None:
        """Count one packet."""
        if arrival_s - self._bucket_start_s >= _BUCKET_S:
            self._bucket_start_s = arrival_s
            self._previous_minimum_s, self._minimum_s = self._minimum_s, None
        lag_s = arrival_s - media_s
        if self._minimum_s is None or lag_s < self._minimum_s:
            self._minimum_s = lag_s

    @property
    def lag_s(self) -> float:
        """Seconds to add to a media time for the earliest arrival it can have; 0.0 before any packet."""
        known = [value for value in (self._minimum_s, self._previous_minimum_s) if value is not None]
        return min(known, default=0.0)


class WallClock:
    """Media time to wall time (Unix seconds) for PROGRAM-DATE-TIME: follows the lag, but without visible steps."""

    def __init__(self, start_wall_s: float, lag_s: float) -> None:
        self._start_wall_s = start_wall_s
        self._lag_s = lag_s
        self._at_media_s: float | None = None

    def follow(self, media_s: float, lag_s: float) -> None:
        """Move towards `lag_s`, by at most 0.5 ms per second of media."""
        if self._at_media_s is not None:
            step_s = max(0.0, media_s - self._at_media_s) * _SLEW_S_PER_S
            self._lag_s += min(step_s, max(-step_s, lag_s - self._lag_s))
        self._at_media_s = media_s

    def wall_s(self, media_s: float) -> float:
        """Unix time in seconds at which the frame of this media time reached ingest."""
        return self._start_wall_s + media_s + self._lag_s
