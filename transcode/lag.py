"""How far behind its own clock a source arrives: the base against which "late" is judged and drift is seen."""

from __future__ import annotations

_BUCKET_S = 15.0
_SLOW_BUCKET_S = 1.5
_LATE_S = 0.5
"""What is later than this is of no use: its place has been filled."""
_SLEW_S_PER_S = 0.0005
_TIME_CONSTANT_S = 60.0
"""Longer than a minimum is remembered, so that the correction does not overshoot what it can't see yet."""
_LONGEST_STEP_S = 1.0


class ArrivalLag:
    """The least `arrival - media time` of the last 15 to 30 seconds, in seconds of session time.

    The minimum follows a source clock that drifts against ours and ignores network stalls, which only add.
    """

    def __init__(self, bucket_s: float = _BUCKET_S, initial_s: float | None = None) -> None:
        self._bucket_s = bucket_s
        self._bucket_start_s = 0.0
        self._minimum_s: float | None = initial_s
        self._previous_minimum_s: float | None = None

    def observe(self, arrival_s: float, media_s: float) -> None:
        """Count one packet."""
        if arrival_s - self._bucket_start_s >= self._bucket_s:
            self._bucket_start_s = arrival_s
            self._previous_minimum_s, self._minimum_s = self._minimum_s, None
        lag_s = arrival_s - media_s
        if self._minimum_s is None or lag_s < self._minimum_s:
            self._minimum_s = lag_s

    @property
    def settled(self) -> bool:
        """Whether what it tells is the least of a whole bucket or more."""
        return self._previous_minimum_s is not None

    @property
    def lag_s(self) -> float:
        """Seconds to add to a media time for the earliest arrival it can have; 0.0 before any packet."""
        now_s, before_s = self._minimum_s, self._previous_minimum_s
        if now_s is None or (before_s is not None and before_s < now_s):
            now_s = before_s
        return 0.0 if now_s is None else now_s


class Slowdown:
    """Sees a connection whose media have come late for good, as over a network that has become slower.

    A stall is none: what it held up comes all at once, and then the source is on time again.
    """

    def __init__(self) -> None:
        self._recent = ArrivalLag(_SLOW_BUCKET_S)

    def late_s(self, arrival_s: float, media_s: float, lag_s: float) -> float:
        """Count one packet. By how much to move the connection's media so that they are on time again; mostly 0.0."""
        self._recent.observe(arrival_s, media_s)
        late_s = self._recent.lag_s - lag_s
        if late_s <= _LATE_S or not self._recent.settled:
            return 0.0
        self._recent = ArrivalLag(_SLOW_BUCKET_S)
        return late_s


class DriftCorrection:
    """What is added to a source's timestamps so that they advance with this node's clock, in seconds.

    Media time is then wall time plus a constant: PROGRAM-DATE-TIME stays exact for days without ever stepping. The
    grid repeats or drops a frame now and then, and audio is stretched by less than can be heard.
    """

    def __init__(self) -> None:
        self.offset_s = 0.0
        self._reference_s: float | None = None
        self._at_s = 0.0

    def follow(self, arrival_s: float, lag_s: float) -> None:
        """Move so that `lag_s` returns to what it was once it had been measured."""
        step_s = min(arrival_s - self._at_s, _LONGEST_STEP_S)
        self._at_s = arrival_s
        if self._reference_s is None:
            if arrival_s >= 2 * _BUCKET_S:
                self._reference_s = lag_s
            return
        rate = (lag_s - self._reference_s) / _TIME_CONSTANT_S
        self.offset_s += step_s * min(_SLEW_S_PER_S, max(-_SLEW_S_PER_S, rate))
