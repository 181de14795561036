"""Drain: the node takes no publishers any more, and lets the encoders that it has go on on other nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from redis.exceptions import RedisError

from ingest.broadcasts import Broadcasts
from ingest.membership import Membership
from streams.nodes import NodeRegistry, NodeState
from streams.problems import problem_of

log = structlog.get_logger()

_ROUND_S = 0.25
_CUT_AT_ONCE = 10
"""How many encoders are sent away in one round: the node that they come to starts a worker for each."""


class Drain:
    """Begins once, by a signal or by what the registry says, and is never taken back."""

    def __init__(
        self,
        broadcasts: Broadcasts,
        membership: Membership,
        registry: NodeRegistry,
        node_id: str,
        on_begin: Callable[[], None],
    ) -> None:
        self._broadcasts = broadcasts
        self._membership = membership
        self._registry = registry
        self._node_id = node_id
        self._on_begin = on_begin
        self._task: asyncio.Task[None] | None = None

    def begin(self, limit_s: float) -> None:
        """Take no more publishers. With another node that does, live encoders are cut so that they connect to that."""
        if self._task is None:
            log.warning("drain_begins", limit_s=limit_s, sessions=len(self._broadcasts.hosted()))
            self._on_begin()
            self._broadcasts.draining = True
            self._membership.state = NodeState.DRAINING
            self._membership.wake()
            self._task = asyncio.get_running_loop().create_task(self._run(limit_s))

    async def done(self) -> None:
        """Return once no session is hosted here, or the time is up."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, limit_s: float) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + limit_s
        while (left := len(self._broadcasts.hosted())) and loop.time() < end_s:
            if await self._others_take():
                self._broadcasts.hand_over(_CUT_AT_ONCE)
            await asyncio.sleep(_ROUND_S)
        log.warning("drain_ends", sessions_left=left)

    async def _others_take(self) -> bool:
        try:
            nodes = await self._registry.nodes()
        except (RedisError, OSError) as error:
            log.warning("drain_waits", error=problem_of(error))
            return False
        return any(node.node_id != self._node_id and node.state is NodeState.READY for node in nodes)
