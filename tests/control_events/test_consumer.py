"""The consumer group: every event once and in order, whoever crashes; what is unusable is set aside."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from control.event_consumer import EventConsumer
from streams.event_group import GROUP, EventGroup, LeadLost
from streams.records import text
from streams.store import StreamStore
from streams.webhook_keys import WebhookKeys
from streams.webhook_model import DeliveryState, Webhook
from streams.webhook_queue import DeliveryQueue
from streams.webhook_store import WebhookStore
from tests.control_events.helpers import ENV, Clock, add_stream, add_webhook, go_live_and_end


def consumer_of(store: StreamStore, clock: Clock, lease_ms: int = 60_000) -> tuple[EventGroup, EventConsumer]:
    group = EventGroup(store.redis, store.keys.prefix, lease_ms=lease_ms)
    queue = DeliveryQueue(store.redis, store.keys.prefix)
    return group, EventConsumer(group, queue, retry_horizon_ms=1000, on_routed=lambda: None, clock_ms=clock)


async def queued_seqs(webhooks: WebhookStore, webhook: Webhook, stream_id: str) -> list[int]:
    page = await webhooks.deliveries(webhook.env, webhook.webhook_id, state=None, limit=100, below=None)
    assert all(delivery.state is DeliveryState.PENDING for delivery in page.deliveries)
    return [delivery.seq for delivery in reversed(page.deliveries) if delivery.stream_id == stream_id]


async def test_events_are_queued_once_and_in_order(store: StreamStore, webhooks: WebhookStore, clock: Clock) -> None:
    webhook = await add_webhook(webhooks, "http://example.com/")
    other = await add_webhook(webhooks, "http://example.com/", env="blue")
    streams = [await add_stream(store) for _ in range(3)]
    for stream in streams:
        await go_live_and_end(store, stream)
    group, consumer = consumer_of(store, clock)
    assert await group.take_lead()
    assert await consumer.step()
    assert not await consumer.step()
    for stream in streams:
        assert await queued_seqs(webhooks, webhook, stream.stream_id) == [1, 2, 3, 4]
    assert (await webhooks.deliveries("blue", other.webhook_id, state=None, limit=9, below=None)).total == 0
    assert consumer.counts.handled == 12
    pending: Any = await store.redis.xpending(store.keys.events, GROUP)
    assert pending["pending"] == 0


async def test_a_webhook_gets_the_types_it_wants(store: StreamStore, webhooks: WebhookStore, clock: Clock) -> None:
    webhook = await add_webhook(webhooks, "http://example.com/", types=("stream.live", "stream.ended"))
    stream = await add_stream(store)
    await go_live_and_end(store, stream)
    group, consumer = consumer_of(store, clock)
    await group.take_lead()
    await consumer.step()
    assert await queued_seqs(webhooks, webhook, stream.stream_id) == [3, 4]


async def test_what_a_crashed_leader_had_read_is_read_again_first(
    store: StreamStore, webhooks: WebhookStore, clock: Clock
) -> None:
    webhook = await add_webhook(webhooks, "http://example.com/")
    stream = await add_stream(store)
    crashed, _ = consumer_of(store, clock)
    await crashed.take_lead()
    assert len((await crashed.read(10)).entries) == 1
    await go_live_and_end(store, stream)
    await crashed.resign()
    group, consumer = consumer_of(store, clock)
    await group.take_lead()
    while await consumer.step():
        pass
    assert await queued_seqs(webhooks, webhook, stream.stream_id) == [1, 2, 3, 4]


async def test_a_read_whose_answer_was_lost_is_repeated(
    store: StreamStore, webhooks: WebhookStore, clock: Clock
) -> None:
    await add_stream(store)
    group, _ = consumer_of(store, clock)
    await group.take_lead()
    first = await group.read(10)
    await add_stream(store)
    assert [entry.entry_id for entry in (await group.read(10)).entries] == [entry.entry_id for entry in first.entries]


async def test_only_the_leader_reads_and_routes(store: StreamStore, webhooks: WebhookStore, clock: Clock) -> None:
    webhook = await add_webhook(webhooks, "http://example.com/")
    stream = await add_stream(store)
    paused, paused_consumer = consumer_of(store, clock)
    group, consumer = consumer_of(store, clock)
    assert await paused.take_lead()
    assert not await group.take_lead()
    with pytest.raises(LeadLost):
        await consumer.step()
    batch = await paused.read(10)
    await store.redis.delete(WebhookKeys(store.keys.prefix).lease)  # as when it expires
    assert await group.take_lead()
    await consumer.step()
    with pytest.raises(LeadLost):
        await paused_consumer.step()
    with pytest.raises(LeadLost):
        queue = DeliveryQueue(store.redis, store.keys.prefix)
        await queue.route(paused.holder, [], now_ms=clock(), give_up_ms=clock())
    await paused.resign()  # resigns nothing: it does not lead
    assert not await paused.take_lead()
    assert len(batch.entries) == 1
    assert await queued_seqs(webhooks, webhook, stream.stream_id) == [1]


POISON: list[tuple[dict[str, str], str]] = [
    ({"a": "b"}, "without field"),
    ({"type": "stream.exploded"}, "stream.exploded"),
    ({"seq": "many"}, "many"),
    ({"seq": "0"}, "seq is 0"),
    ({"data": "{"}, "JSONDecodeError"),
    ({"data": "[1]"}, "data is list"),
    ({"data": "[" * 100_000}, "RecursionError"),
    ({"at": "yesterday"}, "yesterday"),
    ({"state": "\udcff"}, "decode"),
]


@pytest.mark.parametrize(("fields", "part"), POISON, ids=[part for _, part in POISON])
async def test_poison_is_set_aside_and_holds_up_nothing(
    store: StreamStore, webhooks: WebhookStore, clock: Clock, fields: dict[str, str], part: str
) -> None:
    webhook = await add_webhook(webhooks, "http://example.com/")
    stream = await add_stream(store)
    newest: Any = await store.redis.xrevrange(store.keys.events, count=1)
    good = {text(name): text(value) for name, value in newest[0][1].items()}
    bad = {**({} if "a" in fields else good), **fields}
    encoded: Any = {name: value.encode("utf-8", "surrogateescape") for name, value in bad.items()}
    await store.redis.xadd(store.keys.events, encoded)
    await go_live_and_end(store, stream)
    group, consumer = consumer_of(store, clock)
    await group.take_lead()
    with capture_logs() as logs:
        await consumer.step()
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["event_set_aside"]
    assert part in logs[0]["reason"]
    assert (consumer.counts.set_aside, consumer.counts.handled) == (1, 4)
    assert await queued_seqs(webhooks, webhook, stream.stream_id) == [1, 2, 3, 4]
    aside: Any = await store.redis.xrange(WebhookKeys(store.keys.prefix).set_aside)
    assert len(aside) == 1
    assert part in text(aside[0][1][b"reason"])


async def test_an_event_that_cannot_be_queued_is_set_aside(
    store: StreamStore, webhooks: WebhookStore, clock: Clock
) -> None:
    webhook = await add_webhook(webhooks, "http://example.com/")
    broken = await add_stream(store)
    await store.redis.set(f"{store.keys.prefix}webhook:{webhook.webhook_id}:lane:{broken.stream_id}", "no list")
    stream = await add_stream(store)
    group, consumer = consumer_of(store, clock)
    await group.take_lead()
    await consumer.step()
    assert (consumer.counts.set_aside, consumer.counts.handled) == (1, 1)
    assert stream.stream_id in {
        delivery.stream_id
        for delivery in (await webhooks.deliveries(ENV, webhook.webhook_id, state=None, limit=9, below=None)).deliveries
    }


async def test_a_gap_is_reported(store: StreamStore, webhooks: WebhookStore, clock: Clock) -> None:
    stream = await add_stream(store)
    group, consumer = consumer_of(store, clock)
    await group.take_lead()
    await consumer.step()
    await go_live_and_end(store, stream)
    entries: Any = await store.redis.xrange(store.keys.events)
    await store.redis.xtrim(store.keys.events, minid=text(entries[2][0]), approximate=False)  # loses seq 2
    with capture_logs() as logs:
        await consumer.step()
    broken = [entry for entry in logs if entry["event"] == "event_numbering_broken"]
    assert [(entry["stream_id"], entry["seq_before"], entry["seq"]) for entry in broken] == [(stream.stream_id, 1, 3)]
    assert consumer.counts.breaks == 1


async def test_entries_trimmed_while_they_were_pending_are_reported(store: StreamStore, clock: Clock) -> None:
    await add_stream(store)
    group, consumer = consumer_of(store, clock)
    await group.take_lead()
    await group.read(10)
    await store.redis.xtrim(store.keys.events, maxlen=0, approximate=False)
    with capture_logs() as logs:
        assert await consumer.step()
        assert not await consumer.step()
    assert [entry["event"] for entry in logs] == ["events_lost"]
    assert consumer.counts.trimmed == 1
