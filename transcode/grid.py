"""The frame grid: each source frame goes to a tick, missing ticks repeat the frame before, surplus frames drop.

The grid gives exact alignment of all renditions, steady parts and honest rate control, and it keeps ticking while the
source is away. No I/O, no clock of its own: times come in as arguments.
"""

from __future__ import annotations

from fractions import Fraction

# A frame this close to the next free tick takes it, so that jitter around the middle between two ticks does not turn
# a steady source into repeats and drops. One that comes late may be half a frame of its source late: of a source with
# twice the rate, the frame between two ticks is the surplus one.
_EARLY_TICKS = 0.75
_LATE_TICKS = 0.45
_SPACING_WEIGHT = 0.1


class FrameGrid:
    """Tick n lies at `origin_s + n / rate`."""

    def __init__(self, rate: Fraction, origin_s: float) -> None:
        self.rate = rate
        self.origin_s = origin_s
        self.next_tick = 0
        self._last_position = 0.0
        self._spacing_ticks = 1.0
        self.repeated = 0
        self.dropped = 0

    def place(self, media_s: float) -> range | None:
        """The ticks that a frame at `media_s` completes: all but the last repeat the frame before it.

        None when its tick is taken: the frame is surplus or late.
        """
        position = (media_s - self.origin_s) * float(self.rate)
        step_ticks = min(max(position - self._last_position, 0.0), 2.0)
        self._last_position = position
        self._spacing_ticks += (step_ticks - self._spacing_ticks) * _SPACING_WEIGHT
        if position < self.next_tick - min(_LATE_TICKS, self._spacing_ticks / 2):
            self.dropped += 1
            return None
        tick = self.next_tick if position <= self.next_tick + _EARLY_TICKS else round(position)
        ticks = range(self.next_tick, tick + 1)
        self.repeated += len(ticks) - 1
        self.next_tick = tick + 1
        return ticks

    def fill(self, until_s: float) -> range:
        """The ticks up to `until_s` that no frame has taken; the last frame repeats on them."""
        until = int((until_s - self.origin_s) * float(self.rate))
        ticks = range(self.next_tick, max(self.next_tick, until))
        self.repeated += len(ticks)
        self.next_tick = ticks.stop
        return ticks

    @property
    def end_s(self) -> float:
        """Session time of the next free tick."""
        return self.origin_s + float(self.next_tick / self.rate)
