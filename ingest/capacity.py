"""How much this node carries, what its sessions need of that, and whether one more fits. No I/O.

Units are those of `config.costs`. Only a new session can be refused: one that goes on, after its encoder or another
node has left it, always fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog

from config.costs import session_units

log = structlog.get_logger()

COMES_BACK_SHARE: Final = 0.1
"""A full node is ready again once this share of all units is free beyond what made it full: it does not flap."""


class Capacity:
    """Of one node. `used` is what the sessions need that run now; `units` is None until it is known."""

    def __init__(self, costs: Mapping[str, float], used: Callable[[], float], units: float | None = None) -> None:
        self._costs = dict(costs)
        self._used = used
        self._units = units
        self._reserved = 0.0
        self.is_full = False
        """Whether some tier that this node can carry does not fit now, which hysteresis makes last."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when `is_full` or `takes_no_ladder` has changed."""
        self._told = (False, False)

    @property
    def units(self) -> float:
        """What the node carries; 0 as long as it is not known."""
        return self._units or 0.0

    @units.setter
    def units(self, value: float) -> None:
        self._units = value
        self.look()

    @property
    def used(self) -> float:
        """What is needed by sessions, and by those that are about to begin."""
        return self._used() + self._reserved

    @property
    def free(self) -> float:
        """What is left; never negative."""
        return max(0.0, self.units - self.used)

    @property
    def takes_no_ladder(self) -> bool:
        """Whether not even the cheapest ladder fits: newcomers of any tier are refused where theirs is not known."""
        ladders = [cost for cost in self._costs.values() if cost > session_units(None)]
        return self._units is not None and bool(ladders) and not self._fits(min(ladders))

    def cost(self, tier: str) -> float:
        """The units of a session of this tier whose source is not known yet."""
        return self._costs.get(tier, max(self._costs.values(), default=0.0))

    def has_room(self, tier: str) -> bool:
        """Whether a new session of this tier fits."""
        return self._units is None or self._fits(self.cost(tier))

    @contextmanager
    def reserved(self, tier: str) -> Iterator[None]:
        """Keep the units of a session that is about to begin."""
        cost = self.cost(tier)
        self._reserved += cost
        try:
            yield
        finally:
            self._reserved -= cost

    def look(self) -> None:
        """To be called when a session has begun, changed or ended."""
        if self._units is None:
            return
        # A tier that no empty node of this kind could carry must not make it full for ever.
        wanted = max((cost for cost in self._costs.values() if cost <= self._units), default=self._units)
        if not self._fits(wanted):
            self._become(full=True)
        elif self.free >= min(self._units, wanted + COMES_BACK_SHARE * self._units):
            self._become(full=False)
        if (now := (self.is_full, self.takes_no_ladder)) != self._told:
            self._told = now
            self.on_change()

    def _become(self, *, full: bool) -> None:
        if full is self.is_full:
            return
        self.is_full = full
        numbers = {"used_units": round(self.used, 1), "capacity_units": round(self.units, 1)}
        if full:
            log.warning("node_full", **numbers)
        else:
            log.info("node_has_room", **numbers)

    def _fits(self, cost: float) -> bool:
        # A node without work tries what is asked of it: who runs one stream on a small machine is not sent away.
        return cost <= self.units - self.used or not self.used
