"""Source timestamps to session time: one monotonic clock over wraps, jumps, restarts and reconnects.

Session time is in seconds, 0.0 at the arrival of the session's first packet. Both tracks of a connection share an
offset, so that what the encoder sent in sync stays in sync; a jump gives the connection a new offset that puts the
packet where the wall clock says it belongs.
"""

from __future__ import annotations

from dataclasses import dataclass

WRAP_MS = 1 << 32
JUMP_BACK_MS = 1000
JUMP_FORWARD_MS = 1000
"""Forward is a jump only where it leads to the future: after a stall it may lead back to the present."""
SAME_CLOCK_MS = 3000
"""Tracks whose first packets are farther apart than this do not share a clock."""


def signed_difference_ms(later_ms: float, earlier_ms: float) -> float:
    """`later_ms - earlier_ms` on the 32-bit circle, in [-2^31, 2^31)."""
    return (later_ms - earlier_ms + WRAP_MS // 2) % WRAP_MS - WRAP_MS // 2


@dataclass(slots=True)
class _Track:
    last_raw_ms: float | None = None
    unwrapped_ms: float = 0
    arrival_s: float = 0.0
    offset_ms: float = 0.0


class ConnectionTimeline:
    """Maps the timestamps of one connection. `arrival_s` is always in session time."""

    def __init__(self) -> None:
        self._tracks: dict[str, _Track] = {}
        self._shared_offset_ms: float | None = None
        self.jumps = 0

    def map(self, track_name: str, raw_ms: float, arrival_s: float) -> float:
        """Session time in seconds of a packet's decode timestamp."""
        track = self._tracks.get(track_name)
        if track is None:
            track = self._tracks[track_name] = self._first(raw_ms, arrival_s)
        else:
            self._step(track, raw_ms, arrival_s)
        return (track.unwrapped_ms + track.offset_ms) / 1000

    def move(self, by_s: float) -> None:
        """Everything from now on belongs this much later. Counts as a jump."""
        self.jumps += 1
        assert self._shared_offset_ms is not None
        self._shared_offset_ms += by_s * 1000
        for track in self._tracks.values():
            track.offset_ms += by_s * 1000

    def _first(self, raw_ms: float, arrival_s: float) -> _Track:
        track = _Track(last_raw_ms=raw_ms, unwrapped_ms=raw_ms, arrival_s=arrival_s)
        other = next(iter(self._tracks.values()), None)
        if other is not None and other.last_raw_ms is not None:
            track.unwrapped_ms = other.unwrapped_ms + signed_difference_ms(raw_ms, other.last_raw_ms)
        shared_ms = self._shared_offset_ms
        if shared_ms is not None and abs(self._early_ms(track, shared_ms, arrival_s)) <= SAME_CLOCK_MS:
            track.offset_ms = shared_ms
        else:
            self._anchor(track, arrival_s)
        return track

    def _step(self, track: _Track, raw_ms: float, arrival_s: float) -> None:
        assert track.last_raw_ms is not None
        delta_ms = signed_difference_ms(raw_ms, track.last_raw_ms)
        waited_ms = (arrival_s - track.arrival_s) * 1000
        track.last_raw_ms = raw_ms
        track.unwrapped_ms += delta_ms
        track.arrival_s = arrival_s
        early_ms = self._early_ms(track, track.offset_ms, arrival_s)
        assert self._shared_offset_ms is not None
        shared_early_ms = self._early_ms(track, self._shared_offset_ms, arrival_s)
        if abs(shared_early_ms) < min(abs(early_ms), SAME_CLOCK_MS):
            # The other track has jumped before; this one follows it, however small its own jump may look.
            track.offset_ms = self._shared_offset_ms
        elif delta_ms < -JUMP_BACK_MS or (delta_ms - waited_ms > JUMP_FORWARD_MS and early_ms > JUMP_FORWARD_MS):
            self.jumps += 1
            self._anchor(track, arrival_s)

    @staticmethod
    def _early_ms(track: _Track, offset_ms: float, arrival_s: float) -> float:
        """How much earlier than by its timestamp the track's last packet has come, with this offset."""
        return track.unwrapped_ms + offset_ms - arrival_s * 1000

    def _anchor(self, track: _Track, arrival_s: float) -> None:
        """A new offset that puts the track's last packet at its arrival, for the other track to follow."""
        track.offset_ms = self._shared_offset_ms = float(round(arrival_s * 1000) - track.unwrapped_ms)
