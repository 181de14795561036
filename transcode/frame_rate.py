"""The rate of the frame grid: measured on the first frames, snapped to a standard rate, then fixed for the session."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from statistics import median

STANDARD_RATES = (
    Fraction(5), Fraction(10), Fraction(12), Fraction(15), Fraction(20), Fraction(24000, 1001), Fraction(24),
    Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(48), Fraction(50), Fraction(60000, 1001), Fraction(60),
)  # fmt: skip
FALLBACK_RATE = Fraction(30)
MIN_INTERVALS = 9
_SNAP_TOLERANCE = 0.03
_HINT_TOLERANCE = 0.015


def enough_to_measure(dts_s: Sequence[float]) -> bool:
    """Whether these decode times suffice: ten frames, or half a second of them."""
    return len(dts_s) > MIN_INTERVALS or (len(dts_s) > 3 and dts_s[-1] - dts_s[0] >= 0.5)


def grid_rate(dts_s: Sequence[float], hint: float | None) -> Fraction:
    """The standard rate, in frames per second, for frames decoded at these times (seconds, ascending).

    A hint (metadata or SPS) decides between neighbours such as 23.976 and 24 when the measurement agrees with it.
    A variable rate takes the next standard rate above its average, so that the grid loses no frame.
    """
    intervals = [later - earlier for earlier, later in itertools.pairwise(dts_s) if later > earlier]
    if not intervals:
        return _nearest(hint) if hint and hint <= 121 else FALLBACK_RATE
    average = len(intervals) / sum(intervals)
    typical = 1 / median(intervals)
    steady = max(intervals) - min(intervals) <= 0.25 * median(intervals) + 0.0021  # wire times are whole milliseconds
    measured = average if steady else max(average, typical)
    if hint and abs(hint / measured - 1) <= _tolerance(intervals):
        return _nearest(hint)
    if hint and not steady and measured < hint <= 61:
        return _nearest(hint)
    nearest = _nearest(measured)
    if steady and abs(float(nearest) / measured - 1) <= _SNAP_TOLERANCE:
        return nearest
    return next((rate for rate in STANDARD_RATES if rate >= measured * (1 - _HINT_TOLERANCE)), STANDARD_RATES[-1])


def _tolerance(intervals: Sequence[float]) -> float:
    return max(_HINT_TOLERANCE, 0.002 / sum(intervals))


def _nearest(rate: float) -> Fraction:
    return min(STANDARD_RATES, key=lambda standard: abs(float(standard) / rate - 1))
