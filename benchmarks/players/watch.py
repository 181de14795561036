"""What every player is asked to do, and how what it has shown is judged."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from statistics import median, quantiles
from typing import Protocol

from benchmarks.reliability.players import Shown
from tests.e2e.node import wait_until

STALL_S = 0.5
"""A longer gap between two new pictures is a stall, where every picture can be seen."""
GRACE_S = 3.0
"""What a seek or a switch may cost at once."""
BACK_S = 20.0
_ACT_S = 12.0
_GROWTH_S = 0.5


class Player(Protocol):
    """A player on one stream. An act that it does not have is named in `cannot`."""

    name: str
    cannot: frozenset[str]
    latency_at_most_s: float
    stall_s: float
    before_seek_s: float
    """For how long it must have played before it can seek back."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """From joining to leaving."""
        ...

    async def shown(self) -> list[Shown]:
        """Pictures shown since the last call, with the clock in each."""
        ...

    async def errors(self) -> list[str]:
        """What the player has called an error so far; none that it names a warning."""
        ...

    async def height_px(self) -> int:
        """Of the picture that is shown; 0 before the first."""
        ...

    async def switch(self, height_px: int) -> None:
        """To the rendition of this height."""
        ...

    async def seek_back(self, by_s: float) -> None:
        """To an earlier time in the window."""
        ...

    async def to_live(self) -> None:
        """Back to the live edge."""
        ...


@dataclass(slots=True)
class Watched:
    """What a player did. Times in seconds."""

    name: str
    stall_s: float = STALL_S
    joins_s: list[float] = field(default_factory=list)
    switches: int = 0
    switches_done: int = 0
    seeks: int = 0
    seeks_done: int = 0
    returns_done: int = 0
    shown: list[Shown] = field(default_factory=list)
    excused: list[tuple[float, float]] = field(default_factory=list)
    """Times in which a gap is the act's, not a stall."""
    away: list[tuple[float, float]] = field(default_factory=list)
    """Times in which the player was not at the live edge on purpose."""
    left_s: list[float] = field(default_factory=list)
    """When it was made to leave."""
    errors: list[str] = field(default_factory=list)

    def stalls_s(self) -> list[float]:
        """Gaps between new pictures, and before the player was made to leave, less what an act in them may cost."""
        times_s = sorted([*(look.at_s for look in self.shown if look.clock_s is not None), *self.left_s])
        gaps_s = [
            later_s - earlier_s - _overlap_s(self.excused, earlier_s, later_s)
            for earlier_s, later_s in itertools.pairwise(times_s)
        ]
        return [gap_s for gap_s in gaps_s if gap_s > self.stall_s]

    def latencies(self) -> list[tuple[float, float]]:
        """(when, how far the picture was behind its clock) of all pictures at the live edge."""
        return [
            (look.at_s, look.at_s - look.clock_s)
            for look in self.shown
            if look.clock_s is not None and not _meets(self.away, look.at_s, look.at_s)
        ]

    def latency_s(self) -> tuple[float, float]:
        """Median and p95."""
        found = [latency_s for _, latency_s in self.latencies()]
        return (median(found), quantiles(found, n=20)[-1]) if len(found) > 1 else (float("inf"), float("inf"))

    def growth_s(self) -> float:
        """Median latency of the last quarter less that of the first."""
        found = self.latencies()
        quarter = max(1, len(found) // 4)
        first, last = found[:quarter], found[-quarter:]
        return median(value for _, value in last) - median(value for _, value in first) if found else float("inf")

    def failures(self, at_most_s: float) -> list[str]:
        """Everything that is not as it must be, in words."""
        found = [f"error {error}" for error in dict.fromkeys(self.errors)]
        if stalls := self.stalls_s():
            found.append(f"{len(stalls)} stalls, {sum(stalls):.1f} s")
        if self.switches_done < self.switches:
            found.append(f"{self.switches - self.switches_done} of {self.switches} switches not seen")
        if self.seeks_done < self.seeks:
            found.append(f"{self.seeks - self.seeks_done} of {self.seeks} seeks not seen")
        if self.returns_done < self.seeks:
            found.append(f"{self.seeks - self.returns_done} of {self.seeks} returns not seen")
        if self.latency_s()[1] > at_most_s:
            found.append(f"latency above {at_most_s:g} s")
        if self.growth_s() > _GROWTH_S:
            found.append(f"latency grew by {self.growth_s():.1f} s")
        return found


def _meets(spans: Sequence[tuple[float, float]], from_s: float, until_s: float) -> bool:
    return any(from_s <= end_s and until_s >= start_s for start_s, end_s in spans)


def _overlap_s(spans: Sequence[tuple[float, float]], from_s: float, until_s: float) -> float:
    """The spans of one player don't overlap each other."""
    return sum(max(0.0, min(until_s, end_s) - max(from_s, start_s)) for start_s, end_s in spans)


class Visit:
    """One stay of a player at the stream."""

    def __init__(self, player: Player, watched: Watched, *, act_s: float = _ACT_S, back_s: float = BACK_S) -> None:
        self._player = player
        self._watched = watched
        self._act_s = act_s
        self._back_s = back_s

    async def look(self) -> list[Shown]:
        """New pictures; all are noted."""
        found = await self._player.shown()
        self._watched.shown += found
        return found

    async def until(self, condition: Callable[[Shown], bool], timeout_s: float) -> bool:
        """Whether a picture for which this holds has been shown in time."""

        async def shown() -> bool:
            return any(condition(look) for look in await self.look() if look.clock_s is not None)

        try:
            await wait_until(shown, "a picture", timeout_s)
        except AssertionError:
            return False
        return True

    async def stay(self, seconds: float) -> None:
        """Watch."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            await asyncio.sleep(min(1.0, left_s))
            await self.look()

    async def switch(self, height_px: int) -> None:
        """To this rendition. The old one may be shown until its buffer is empty."""
        if "switch" in self._player.cannot or await self._player.height_px() == height_px:
            await self.stay(self._act_s / 2)
            return
        self._watched.switches += 1
        await self._player.switch(height_px)

        async def switched() -> bool:
            before = await self._player.height_px()
            pictures = await self.look()
            return before == height_px and bool(pictures)

        with suppress(AssertionError):
            await wait_until(switched, "the other rendition", _ACT_S)
            self._watched.switches_done += 1
        await self.stay(self._act_s / 2)

    async def rewind(self) -> None:
        """Back in the window, some seconds there, and back to live."""
        if "seek" in self._player.cannot:
            await self.stay(self._act_s / 2)
            return
        await self.stay(self._player.before_seek_s)
        self._watched.seeks += 1
        begun_s = time.time()
        live_s = self._watched.latency_s()[0]
        await self._player.seek_back(self._back_s)
        if await self.until(lambda look: _behind_s(look) > live_s + self._back_s / 2, _ACT_S):
            self._watched.seeks_done += 1
        self._watched.excused.append((begun_s, time.time()))
        await self.stay(self._act_s / 2)
        returned_s = time.time()
        await self._player.to_live()
        if await self.until(lambda look: _behind_s(look) < live_s + GRACE_S, _ACT_S):
            self._watched.returns_done += 1
        self._watched.excused.append((returned_s, time.time()))
        self._watched.away.append((begun_s, time.time() + GRACE_S))
        await self.stay(self._act_s)


def _behind_s(look: Shown) -> float:
    return look.at_s - (look.clock_s or 0.0)


async def watch(player: Player, heights_px: Sequence[int], seconds: float, *, joins: int = 2) -> Watched:
    """Join, and do everything in turn until the time is over; then leave, and join again."""
    watched = Watched(player.name, player.stall_s)
    for _ in range(joins):
        joined_s = time.time()
        excused_from_s = watched.left_s[-1] if watched.left_s else joined_s
        async with player.opened():
            visit = Visit(player, watched)
            if not await visit.until(lambda _: True, 40):
                watched.left_s.append(time.time())
                watched.errors += ["no picture", *await player.errors()]
                continue
            watched.joins_s.append(time.time() - joined_s)
            watched.excused.append((excused_from_s, time.time() + GRACE_S))
            watched.away.append((joined_s, time.time() + GRACE_S))
            await visit.stay(2 * GRACE_S)
            acts: list[Callable[[], Awaitable[None]]] = [partial(visit.switch, height) for height in heights_px]
            for act in itertools.cycle([*acts, visit.rewind]):
                if time.time() + 3 * _ACT_S + player.before_seek_s > joined_s + seconds / joins:
                    break
                await act()
            await visit.stay(joined_s + seconds / joins - time.time())
            watched.left_s.append(time.time())
            watched.errors += await player.errors()
    return watched
