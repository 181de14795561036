"""Rounds: an event loop that many connections keep awake rests between its turns, and serves all at once.

To wake up costs about as much as to read one message. What arrives meanwhile waits in the sockets, for 60 ms at most;
but for who comes to a socket that is served at once: that ends a rest, and there is none while the answer is made.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Iterator
from contextlib import contextmanager

REST_S = 0.06
WORK_S = 0.001
"""Without a rest for so long, so that a task of many steps takes few rounds."""
LEAST_READS_PER_S = 500
"""A round that serves fewer than a handful of connections would save nothing."""
STAY_READS_PER_S = 100
"""In rounds the same connections need fewer reads."""
AWAKE_S = 0.15
"""For how long there is no rest once somebody is served at once."""
_LOOK_S = 1.0
_at_once = select.poll()
_awake_until_s = 0.0


@contextmanager
def served_at_once(fd: int) -> Iterator[None]:
    """Whoever connects to this listening socket of the process need not wait for the end of a rest."""
    _at_once.register(fd, select.POLLIN)
    try:
        yield
    finally:
        _at_once.unregister(fd)


def stay_awake() -> None:
    """Somebody is served at once: the loop that calls this does not rest for a while.

    Who is accepted between two rests ends none by coming, and each step of the answer would wait for one.
    """
    global _awake_until_s  # of the process: one loop of it rests
    _awake_until_s = asyncio.get_running_loop().time() + AWAKE_S


class Rounds:
    """Of the running loop. Tell it each read; it begins and ends by itself."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reads = 0
        self._since_s = self._loop.time()
        self.resting = False
        """Whether the loop works in rounds now."""

    def count_read(self) -> None:
        """A socket has brought something."""
        self._reads += 1
        if self._reads >= LEAST_READS_PER_S and not self.resting:
            self.resting = self._is_busy(self._loop.time(), LEAST_READS_PER_S)
            if self.resting:
                self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        now_s = self._loop.time()
        if now_s - self._since_s >= _LOOK_S:
            self.resting = self._is_busy(now_s, STAY_READS_PER_S)
        if self.resting:
            if now_s >= _awake_until_s and _at_once.poll(REST_S * 1000):
                stay_awake()
            self._loop.call_later(WORK_S, self._turn)

    def _is_busy(self, now_s: float, reads_per_s: int) -> bool:
        """Whether there were so many reads a second since the last look; begins anew."""
        busy = self._reads >= reads_per_s * (now_s - self._since_s)
        self._reads, self._since_s = 0, now_s
        return busy
