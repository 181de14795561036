"""Which node has a stream's media, for the origins of all others: asked in Redis, remembered for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog
from redis.asyncio import Redis

from streams.keys import Keys
from streams.outage import Outage
from streams.records import text
from streams.scripts import script_text
from streams.state import State

log = structlog.get_logger()

REMEMBERED_S: Final = 1.0
_ENTRIES_MAX: Final = 10_000
UNKNOWN_PER_S: Final = 200
UNKNOWN_AT_ONCE: Final = 400
"""Names that nobody has are made up by whoever asks for them: so many of them are looked up, and no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The node that hosts, or last hosted, a session of the stream. `url` is empty when the node is not there."""

    node_id: str
    url: str
    session_id: str
    is_live: bool
    is_here: bool


NOT_NOW: Final = Owner(node_id="", url="", session_id="", is_live=False, is_here=False)
"""For a name that is not known, while too many are asked for that nobody has: it is to be asked for again later."""


class OwnerDirectory:
    """Owners by edge id. An absent one is remembered, too; while Redis is away, all that is known stays known."""

    def __init__(self, redis: Redis, keys: Keys, node_id: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._node_id = node_id
        self._now_s = now_s
        self._owner = redis.register_script(script_text("owner"))
        self._known: dict[str, tuple[float, Owner | None]] = {}
        self._asking: dict[str, asyncio.Task[Owner | None]] = {}
        self._outage = Outage("owners_not_known")
        self._unknown_left = float(UNKNOWN_AT_ONCE)
        self._unknown_at_s = now_s()

    async def owner(self, edge_id: str) -> Owner | None:
        """Who has the media of this edge id, as of a second ago at most; None when nobody, or nobody can say.

        `NOT_NOW` while too many names were asked for that nobody has.
        """
        known = self._known.get(edge_id)
        if known is not None and known[0] > self._now_s():
            return known[1]
        asking = self._asking.get(edge_id)
        if asking is None and known is None and not self._may_be_unknown():
            return NOT_NOW
        if asking is None:
            # A task of its own: whoever asked first may leave, the others still want to know.
            asking = self._asking[edge_id] = asyncio.create_task(self._ask(edge_id, known[1] if known else None))
            asking.add_done_callback(lambda _: self._asking.pop(edge_id))
        return await asyncio.shield(asking)

    async def close(self) -> None:
        """End what is being asked."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, edge_id: str, before: Owner | None) -> Owner | None:
        owner = before
        with self._outage.noted():
            found = await self._owner(keys=[self._keys.edge(edge_id)], args=[self._keys.prefix])
            owner = self._read([text(item) for item in found], before)
        if owner is None and edge_id not in self._known:
            self._unknown_left -= 1
        self._known.pop(edge_id, None)
        while len(self._known) >= _ENTRIES_MAX:
            self._known.pop(next(iter(self._known)))
        self._known[edge_id] = self._now_s() + REMEMBERED_S, owner
        return owner

    def _may_be_unknown(self) -> bool:
        now_s = self._now_s()
        gained = (now_s - self._unknown_at_s) * UNKNOWN_PER_S
        self._unknown_left = min(UNKNOWN_AT_ONCE, self._unknown_left + gained)
        self._unknown_at_s = now_s
        return self._unknown_left - len(self._asking) >= 1

    def _read(self, found: list[str], before: Owner | None) -> Owner | None:
        if not found:
            return None
        node_id, url, session_id, state = found
        owner = Owner(
            node_id=node_id,
            url=url,
            session_id=session_id,
            is_live=state == State.LIVE,
            is_here=node_id == self._node_id,
        )
        if not url and before is not None and before.node_id == node_id:
            # After an outage of Redis a node is missing there until its next heartbeat.
            return replace(owner, url=before.url)
        return owner
