"""What a control process does in the background: take the lead if nobody has it, consume events, deliver them.

One process of all leads, so that the events of a stream stay in order. The others wait for its lease to expire. Redis
away, a lost lease or a fault ends the round; the next one begins with whatever was not finished.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog
from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from control.event_consumer import EventConsumer, wall_clock_ms
from control.webhooks.connector import TIMEOUT_S, open_session
from control.webhooks.dispatcher import Backoff, Dispatcher, Shares
from control.webhooks.policy import WebhookPolicy
from control.webhooks.sender import Sender
from streams.connection import open_redis
from streams.event_group import LEASE_MS, EventGroup, LeadLost
from streams.problems import problem_of
from streams.webhook_queue import DeliveryQueue

log = structlog.get_logger()

_RETRY_S: Final = 0.5
_RETRY_MAX_S: Final = 5.0


class EventService:
    """Leads, or waits to lead, until cancelled."""

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        policy: WebhookPolicy,
        *,
        lease_ms: int = LEASE_MS,
        timeout_s: float = TIMEOUT_S,
        clock_ms: Callable[[], int] = wall_clock_ms,
        backoff: Backoff | None = None,
        shares: Shares | None = None,
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._policy = policy
        self._timeout_s = timeout_s
        self._clock_ms = clock_ms
        self._backoff = backoff or Backoff()
        self._shares = shares or Shares()
        self._group = EventGroup(redis, prefix, lease_ms=lease_ms)
        self._queue = DeliveryQueue(redis, prefix)
        self._is_away = False
        self.dispatcher: Dispatcher | None = None
        self.webhook_attempts: Counter[str] = Counter()
        """How each attempt ended: delivered, failed or dead."""
        self.consumer = EventConsumer(
            self._group,
            self._queue,
            retry_horizon_ms=policy.retry_horizon_ms,
            on_routed=self.wake,
            clock_ms=clock_ms,
        )

    def wake(self) -> None:
        """Look for deliveries that are due, now."""
        if self.dispatcher is not None:
            self.dispatcher.wake()

    async def run(self) -> None:
        """Run until cancelled."""
        retry_s = _RETRY_S
        while True:
            has_led, is_well = await self._round()
            _end_if_cancelled()
            # A lost lease, too, is waited out: whoever has it now keeps it for a while.
            await asyncio.sleep(retry_s if not is_well else min(_RETRY_S, self._group.lease_ms / 4000))
            retry_s = _RETRY_S if is_well or has_led else min(retry_s * 2, _RETRY_MAX_S)

    async def _round(self) -> tuple[bool, bool]:
        """Lead for as long as it goes. Whether this process led, and whether nothing went wrong."""
        has_led = False
        try:
            leads = await self._group.take_lead()
            self._is_away = False
            if not leads:
                return False, True
            has_led = True
            # In a task of its own: before Python 3.13 a task group that fails leaves its task counted as cancelled.
            await asyncio.create_task(self._lead())
        except* LeadLost:
            log.warning("event_lead_lost", holder=self._group.holder)
        except* (RedisError, OSError, TimeoutError) as errors:
            if not self._is_away:
                log.warning("event_store_away", errors=sorted({problem_of(error) for error in _flat(errors)}))
            self._is_away = True
        except* Exception:
            log.exception("event_service_failed")
        return has_led, False

    async def _lead(self) -> None:
        log.info("event_lead_taken", holder=self._group.holder)
        try:
            async with open_session(self._policy, timeout_s=self._timeout_s) as session, asyncio.TaskGroup() as tasks:
                self.dispatcher = Dispatcher(
                    self._queue,
                    self._group.holder,
                    Sender(session, self._policy, self._clock_ms),
                    clock_ms=self._clock_ms,
                    backoff=self._backoff,
                    shares=self._shares,
                    attempts=self.webhook_attempts,
                )
                tasks.create_task(self._keep_lead())
                tasks.create_task(self.consumer.run())
                tasks.create_task(self.dispatcher.run())
        finally:
            self.dispatcher = None
            await self._resign()

    async def _keep_lead(self) -> None:
        while True:
            await asyncio.sleep(self._group.lease_ms / 4000)
            if not await self._group.take_lead():
                raise LeadLost

    async def _resign(self) -> None:
        try:
            await self._group.resign()
        except (RedisError, OSError) as error:
            log.info("event_lead_not_resigned", error=problem_of(error), expires_in_ms=self._group.lease_ms)


def _end_if_cancelled() -> None:
    """A task group that is cancelled while one of its tasks fails reports the failure alone (before Python 3.13)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _flat(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_flat(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def add_event_service(app: web.Application, redis_url: str, prefix: str, policy: WebhookPolicy) -> EventService:
    """Run an `EventService` as long as the application, with connections of its own: requests never wait for it."""
    redis = open_redis(redis_url)
    service = EventService(redis, prefix, policy)

    async def run(app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(service.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await redis.aclose()

    app.cleanup_ctx.append(run)
    return service
