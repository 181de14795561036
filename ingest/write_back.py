"""Sessions that run here and of which Redis knows nothing any more are written back: it has lost its data."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

import structlog

from ingest.broadcast import Broadcast
from streams.nodes import LEASE_S, NodeRegistry

log = structlog.get_logger()

UNKNOWN_S: Final = LEASE_S
"""How long Redis must not know a session. A stream that was ended and deleted is heard of by its events before that."""


class WriteBack:
    """Looks at what the heartbeats say."""

    def __init__(
        self,
        registry: NodeRegistry,
        running: Callable[[], Sequence[Broadcast]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._running = running
        self._clock = clock
        self._since_s: dict[str, float] = {}

    async def look(self, unknown: Collection[str]) -> None:
        """Redis does not know these sessions now. Raises `RedisError`."""
        now_s = self._clock()
        self._since_s = {session_id: self._since_s.get(session_id, now_s) for session_id in unknown}
        for broadcast in self._running():
            session_id = broadcast.session_id
            if now_s - self._since_s.get(session_id, now_s) < UNKNOWN_S:
                continue
            stream, event_type = broadcast.as_known_here
            if await self._registry.write_back(stream, event_type):
                ids = {"stream_id": stream.stream_id, "session_id": session_id}
                log.warning("session_written_back", **ids, state=stream.state.value)
