"""How many players watch a stream, over all nodes: each origin writes what it counts, and the API adds that up.

One hash per stream that somebody watches, with a field per origin; it goes by itself when nobody writes it any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from redis.asyncio import Redis

from streams.keys import Keys
from streams.scripts import script_text

WRITTEN_EVERY_S: Final = 4.0
_HOLDS_S: Final = 10
_AT_ONCE: Final = 500


class ViewerCounts:
    """The counts in Redis. All methods raise `RedisError`."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._keys = keys
        self._write = redis.register_script(script_text("viewers"))
        self._read = redis.register_script(script_text("viewers_of"))

    async def write(self, who: str, counts: Mapping[str, int]) -> None:
        """What `who` counts, by edge id; it holds for ten seconds."""
        streams = list(counts.items())
        for first in range(0, len(streams), _AT_ONCE):
            some = streams[first : first + _AT_ONCE]
            await self._write(
                keys=[self._keys.viewers(edge_id) for edge_id, _ in some],
                args=[who, _HOLDS_S, *(count for _, count in some)],
            )

    async def of(self, edge_id: str) -> int:
        """How many players watch this stream."""
        return int(await self._read(keys=[self._keys.viewers(edge_id)]))
