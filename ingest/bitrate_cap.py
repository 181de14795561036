"""The most that an encoder may send: so many times what its stream's quality makes of it, averaged over some seconds.

Beyond `BITRATE_TOO_HIGH`, which only says that a bitrate is of no use, this protects the node's other streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from config.ladders import Ladder
from config.limits import IngestLimits

CHECK_EVERY_S: Final = 1.0


def cap_bps(ladder: Ladder | None, limits: IngestLimits) -> int:
    """The cap for a stream of this ladder, in bits per second: a multiple of all its renditions together."""
    tier_bps = limits.passthrough_bitrate_bps
    if ladder is not None:
        tier_bps = sum(rung.bitrate_bps for rung in ladder.rungs) + ladder.audio_bitrate_bps
    return round(limits.bitrate_times_tier * tier_bps)


class BitrateCap:
    """A bucket of `window_s` seconds at the cap: the burst after a network stall fits in, a steady excess does not."""

    def __init__(self, limit_bps: int, window_s: float) -> None:
        self._rate_bytes_s = limit_bps / 8
        self._room_bytes = self._rate_bytes_s * window_s
        self._level_bytes = 0.0
        self._seen_bytes = 0
        self._at_s: float | None = None

    def exceeded(self, total_bytes: int, now_s: float) -> bool:
        """Whether `total_bytes`, sent since the connection began, are too many by now."""
        passed_s = now_s - (self._at_s if self._at_s is not None else now_s)
        self._level_bytes = max(0.0, self._level_bytes - passed_s * self._rate_bytes_s)
        self._level_bytes += total_bytes - self._seen_bytes
        self._at_s, self._seen_bytes = now_s, total_bytes
        return self._level_bytes > self._room_bytes


class BitrateWatch:
    """Looks once a second, so that the way of the media knows nothing of it."""

    def __init__(self, cap: BitrateCap, total_bytes: Callable[[], int], on_exceeded: Callable[[], None]) -> None:
        self._cap = cap
        self._total_bytes = total_bytes
        self._on_exceeded = on_exceeded
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(CHECK_EVERY_S, self._look)

    def close(self) -> None:
        """Look no more. Idempotent."""
        self._timer.cancel()

    def _look(self) -> None:
        if self._cap.exceeded(self._total_bytes(), self._loop.time()):
            self._on_exceeded()
        else:
            self._timer = self._loop.call_later(CHECK_EVERY_S, self._look)
