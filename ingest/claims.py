"""Claims a stream in Redis for a publisher, or the session that it has on a node that can't go on with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from redis.exceptions import RedisError

from ingest.admission import PublishRefused, Refusal
from streams.errors import AlreadyPublishing, KeyRevoked, StaleSession
from streams.ids import new_session_id
from streams.model import Claim, NodeSession
from streams.nodes import HEARTBEAT_S, TAKEN_FOR_DEAD_S
from streams.state import Event, IllegalTransition
from streams.store import StreamStore

log = structlog.get_logger()

_ASK_AGAIN_S = 0.25
_DECIDED_S = TAKEN_FOR_DEAD_S + HEARTBEAT_S


class Claims:
    """The claims of one node. `is_hosted` says whether a session id is of a session that runs here."""

    def __init__(self, store: StreamStore, node_id: str, is_hosted: Callable[[str], bool]) -> None:
        self._store = store
        self._node_id = node_id
        self._is_hosted = is_hosted

    async def claim(self, stream_id: str, key_hash: str) -> Claim:
        """The stream's new session, or its present one that goes on here. Raises `PublishRefused`."""
        try:
            return await self._claim(stream_id, key_hash)
        except KeyRevoked:
            raise PublishRefused(Refusal.WRONG_KEY, "no stream has this stream key") from None
        except AlreadyPublishing:
            raise PublishRefused(Refusal.ALREADY_PUBLISHING, "another node is publishing this stream") from None
        except (RedisError, OSError) as error:
            raise PublishRefused(Refusal.TRY_AGAIN, "cannot claim the stream now, try again") from error

    async def abandon(self, left: NodeSession, reason: str) -> None:
        """End a session of this node that nobody hosts. Raises `RedisError`."""
        try:
            await self._store.apply(
                left.stream_id, Event.NODE_LOST, session_id=left.session_id, epoch=left.epoch, reason=reason
            )
        except (StaleSession, IllegalTransition) as error:
            log.warning("session_not_abandoned", stream_id=left.stream_id, error=str(error))

    async def _claim(self, stream_id: str, key_hash: str) -> Claim:
        """Waits while it can't be known whether the node that has the session is alive.

        Its encoder comes here because that node is gone, more often than not, and would give up for good when it heard
        that it publishes already. A heartbeat that is sent after the question settles it.
        """
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + _DECIDED_S
        heard_s: float | None = None
        while True:
            try:
                return await self._store.begin_session(
                    stream_id, key_hash=key_hash, session_id=new_session_id(), node_id=self._node_id
                )
            except AlreadyPublishing as busy:
                if busy.node_id == self._node_id:
                    if not await self._drop_orphan(stream_id):
                        raise
                    continue
                heard_s = busy.heard_s if heard_s is None else heard_s
                if busy.heard_s != heard_s or loop.time() > give_up_s:
                    raise
            await asyncio.sleep(_ASK_AGAIN_S)

    async def _drop_orphan(self, stream_id: str) -> bool:
        """A claim whose answer was lost on its way left a session of ours that nobody hosts."""
        for left in await self._store.sessions_of_node(self._node_id):
            if left.stream_id == stream_id and not self._is_hosted(left.session_id):
                await self.abandon(left, "claim_lost")
                return True
        return False
