"""When a newer encoder may have the stream of one that has fallen silent."""

from __future__ import annotations

from collections import deque

_MOST_DOUBLINGS = 2


class TakeoverRule:
    """An encoder that is silent for `silence_s` may be replaced, by one from another address only ever more slowly.

    A pair of encoders with the same key that fall silent in turn would swap the picture every few seconds: with each
    take-over by another address within the last `memory_s` the silence doubles, twice at most. An encoder that
    comes back to its own stream is not kept waiting.
    """

    def __init__(self, silence_s: float, memory_s: float) -> None:
        self._silence_s = silence_s
        self._memory_s = memory_s
        self._swapped_s: deque[float] = deque(maxlen=_MOST_DOUBLINGS)

    def allows(self, silent_s: float, *, now_s: float, same_address: bool) -> bool:
        """Whether the newer one may have the stream."""
        while self._swapped_s and now_s - self._swapped_s[0] > self._memory_s:
            self._swapped_s.popleft()
        doublings = 0 if same_address else len(self._swapped_s)
        return silent_s >= self._silence_s * (1 << doublings)

    def taken_over(self, now_s: float, *, same_address: bool) -> None:
        """The newer one has it."""
        if not same_address:
            self._swapped_s.append(now_s)
