"""Sends what is due: several lanes of a webhook at once, one delivery of a lane after the other.

A receiver that is slow or dead delays nobody else. It has a bounded share of the attempts that are under way, and once
an attempt of a webhook has failed or taken long, that webhook counts as *suspect*: it gets few attempts at once, and
all suspects together leave room for the others, until one of its attempts goes well again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from control.webhooks.sender import Attempt
from streams.webhook_model import Delivery, DeliveryState, Webhook
from streams.webhook_queue import DeliveryQueue, Finished

log = structlog.get_logger()

POLL_S: Final = 0.25
"""How often Redis is asked for what is due, besides whenever something was routed or finished here."""

PURGE_S: Final = 5.0
_OUTCOMES: Final = {DeliveryState.DELIVERED: "delivered", DeliveryState.DEAD: "dead"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How many attempts may be under way, and what makes a webhook suspect."""

    total: int = 256
    per_webhook: int = 16
    suspects: int = 128
    per_suspect: int = 2
    slow_s: float = 2.0
    turn: int = 32  # deliveries of one lane in a row, while others of its webhook wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after the n-th failed try: doubling from `first_s` to `most_s`, less up to half by chance."""

    first_s: float = 5.0
    most_s: float = 3600.0
    random: Callable[[], float] = random.random

    def delay_s(self, tries: int) -> float:
        """`tries` counts from 1."""
        longest_s = min(self.most_s, self.first_s * 2.0 ** min(tries - 1, 60))
        return longest_s * (1.0 - 0.5 * self.random())


class SendsDeliveries(Protocol):
    """What makes an attempt."""

    async def send(self, webhook: Webhook, delivery: Delivery) -> Attempt:
        """Raises nothing but cancellation."""


class Dispatcher:
    """The dispatcher of the process that leads."""

    def __init__(
        self,
        queue: DeliveryQueue,
        holder: str,
        sender: SendsDeliveries,
        *,
        clock_ms: Callable[[], int],
        backoff: Backoff,
        shares: Shares,
        attempts: Counter[str] | None = None,
    ) -> None:
        self._queue = queue
        self._holder = holder
        self._sender = sender
        self._clock_ms = clock_ms
        self._backoff = backoff
        self._shares = shares
        self._attempts = Counter() if attempts is None else attempts
        self._woken = asyncio.Event()
        self._lanes: set[tuple[str, str]] = set()  # under way: webhook id, lane
        self._by_webhook: Counter[str] = Counter()
        self._suspects: set[str] = set()
        self._purge_at_s = 0.0

    def wake(self) -> None:
        """Something may be due."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled. Raises `LeadLost`, and errors of Redis; attempts under way are broken off then."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._woken.clear()
                await self._start_due(tasks)
                await self._purge()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._woken.wait()

    async def _start_due(self, tasks: asyncio.TaskGroup) -> None:
        now_ms = self._clock_ms()
        for webhook_id in await self._queue.busy(now_ms):
            room = self._room(webhook_id)
            if room <= 0:
                continue
            # Lanes that are under way are due too: ask for so many more. One that ends while the answer is on its way
            # is left to the next look: the answer may still have the delivery that was finished.
            under_way = {lane for lane in self._lanes if lane[0] == webhook_id}
            asked = room + len(under_way)
            found = await self._queue.next(self._holder, webhook_id, now_ms=now_ms, lanes=asked)
            if found is None:
                continue
            webhook, deliveries = found
            for delivery in deliveries:
                lane = (webhook_id, delivery.lane)
                if lane not in under_way and room > 0:
                    room -= 1
                    self._lanes.add(lane)
                    self._by_webhook[webhook_id] += 1
                    tasks.create_task(self._serve_lane(webhook, delivery))

    def _room(self, webhook_id: str) -> int:
        under_way, shares = self._by_webhook[webhook_id], self._shares
        room = shares.total - len(self._lanes)
        if webhook_id not in self._suspects:
            return min(room, shares.per_webhook - under_way)
        of_suspects = sum(self._by_webhook[suspect] for suspect in self._suspects)
        return min(room, shares.suspects - of_suspects, shares.per_suspect - under_way)

    async def _serve_lane(self, webhook: Webhook, delivery: Delivery) -> None:
        lane = (webhook.webhook_id, delivery.lane)
        try:
            for _ in range(self._shares.turn):
                following = await self._attempt(webhook, delivery)
                if following is None:
                    return
                webhook, delivery = following
        finally:
            self._lanes.discard(lane)
            self._by_webhook[lane[0]] -= 1
            if not self._by_webhook[lane[0]]:
                del self._by_webhook[lane[0]]
            self.wake()

    async def _attempt(self, webhook: Webhook, delivery: Delivery) -> tuple[Webhook, Delivery] | None:
        begun_s = time.monotonic()
        attempt = await self._sender.send(webhook, delivery)
        took_s = time.monotonic() - begun_s
        if attempt.error is None and took_s <= self._shares.slow_s:
            self._suspects.discard(webhook.webhook_id)
        else:
            self._suspects.add(webhook.webhook_id)
        finished = self._finished(delivery, attempt)
        self._attempts[_OUTCOMES.get(finished.state, "failed")] += 1
        following = await self._queue.finish(self._holder, webhook.webhook_id, delivery, finished)
        _log_attempt(webhook, delivery, finished, round(took_s * 1000))
        return following

    def _finished(self, delivery: Delivery, attempt: Attempt) -> Finished:
        now_ms = self._clock_ms()
        if attempt.error is None:
            return Finished(state=DeliveryState.DELIVERED, now_ms=now_ms, due_ms=now_ms, status=attempt.status)
        is_over = now_ms >= delivery.give_up_ms
        wait_s = max(self._backoff.delay_s(delivery.tries + 1), attempt.retry_after_s)
        return Finished(
            state=DeliveryState.DEAD if is_over else DeliveryState.PENDING,
            now_ms=now_ms,
            # The last attempt is made when it is time to give up, not left out.
            due_ms=min(now_ms + round(wait_s * 1000), delivery.give_up_ms),
            status=attempt.status,
            error=attempt.error,
            disable="gone" if attempt.is_gone else None,
        )

    async def _purge(self) -> None:
        if time.monotonic() >= self._purge_at_s:
            self._purge_at_s = time.monotonic() + PURGE_S
            await self._queue.purge()


def _log_attempt(webhook: Webhook, delivery: Delivery, finished: Finished, took_ms: int) -> None:
    about = {
        "webhook_id": webhook.webhook_id,
        "delivery_id": delivery.delivery_id,
        "attempt": delivery.attempts + 1,
        "status": finished.status,
        "took_ms": took_ms,
    }
    if finished.state is DeliveryState.DELIVERED:
        log.debug("webhook_delivered", **about)
    elif finished.state is DeliveryState.DEAD:
        log.error("webhook_delivery_dead", error=finished.error, **about)
    else:
        wait_s = (finished.due_ms - finished.now_ms) / 1000
        log.warning("webhook_delivery_failed", error=finished.error, again_in_s=wait_s, **about)
    if finished.disable is not None:
        log.warning("webhook_disabled", webhook_id=webhook.webhook_id, reason=finished.disable)
