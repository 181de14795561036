"""This node's membership: says in Redis that it is there and what it hosts, and hears which sessions it has lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

import structlog
from redis.exceptions import RedisError

from ingest.capacity import Capacity
from streams.nodes import HEARTBEAT_S, HostedSession, Node, NodeRegistry, NodeState
from streams.outage import Outage
from streams.problems import problem_of

log = structlog.get_logger()

_LOOK_S = 0.25


async def _ignore(unknown: Collection[str]) -> None:
    pass


class Membership:
    """A task that sends heartbeats. Redis away costs nobody anything: it is tried again."""

    def __init__(
        self,
        registry: NodeRegistry,
        node_id: str,
        url: str,
        hosted: Callable[[], Sequence[HostedSession]],
        on_lost: Callable[[frozenset[str]], None],
        on_drain: Callable[[float], None],
        capacity: Capacity | None = None,
        on_unknown: Callable[[Collection[str]], Awaitable[None]] = _ignore,
    ) -> None:
        self.state = NodeState.READY
        self._registry = registry
        self._node_id = node_id
        self._url = url
        self._hosted = hosted
        self._on_lost = on_lost
        self._on_drain = on_drain
        self._capacity = capacity
        self._on_unknown = on_unknown
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Send the first heartbeat, and go on with it. Raises `RedisError`."""
        self._told = await self._beat()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def wake(self) -> None:
        """Something has changed: the next heartbeat is due now."""
        self._news.set()

    async def tell(self) -> None:
        """A heartbeat out of turn, before something ends. Redis away is the end of it."""
        try:
            await self._beat()
        except (RedisError, OSError) as error:
            log.warning("heartbeat_not_sent", error=problem_of(error))

    async def close(self) -> None:
        """The node leaves: what it still hosts may be taken over at once."""
        self._closed = True
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._registry.leave(self._node_id)
        except (RedisError, OSError) as error:
            log.warning("node_not_signed_off", error=problem_of(error))

    async def _run(self) -> None:
        outage = Outage("heartbeat_not_sent")
        while not self._closed:
            await self._due()
            with outage.noted():
                self._told = await self._beat()

    async def _beat(self) -> set[str]:
        """One heartbeat. The sessions that it called delivering."""
        self._news.clear()
        hosted = self._hosted()
        node = Node(node_id=self._node_id, url=self._url, state=self.state, sessions=len(hosted))
        if (capacity := self._capacity) is not None:
            capacity.look()
            state = NodeState.FULL if capacity.is_full and self.state is NodeState.READY else self.state
            node = replace(node, state=state, capacity_units=capacity.units, used_units=capacity.used)
        answer = await self._registry.heartbeat(node, hosted)
        if answer.lost:
            self._on_lost(answer.lost)
        if answer.drain_s is not None:
            self._on_drain(answer.drain_s)
        await self._on_unknown(answer.unknown)
        return _delivering(hosted)

    async def _due(self) -> None:
        """Return once a heartbeat is due: after its time, or as soon as an encoder has fallen silent or come back."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + HEARTBEAT_S
        while (left_s := due_s - loop.time()) > 0 and _delivering(self._hosted()) == self._told:
            try:
                # Without a session no encoder can fall silent.
                async with asyncio.timeout(min(left_s, _LOOK_S) if self._hosted() else left_s):
                    await self._news.wait()
                return
            except TimeoutError:
                continue


def _delivering(hosted: Sequence[HostedSession]) -> set[str]:
    return {session.session_id for session in hosted if session.delivering}
