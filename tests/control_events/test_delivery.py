"""Deliveries to real HTTP receivers: signed, in order, tried again, given up; nobody waits for anybody else's."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from control.webhooks.dispatcher import Backoff, Shares
from control.webhooks.policy import WebhookPolicy
from control.webhooks.signing import new_secret, signature
from streams.recording_model import RecordingProgress, RecordingState
from streams.recordings import RecordingStore
from streams.store import StreamStore
from streams.webhook_model import Delivery, DeliveryState, Webhook
from streams.webhook_store import WebhookStore
from tests.control_events.helpers import (
    ENV,
    Clock,
    Receiver,
    add_stream,
    add_webhook,
    go_live_and_end,
    receiver,
    running,
    until,
    until_answers,
)


async def deliveries_of(
    store: WebhookStore, webhook: Webhook, state: DeliveryState | None = None
) -> Sequence[Delivery]:
    page = await store.deliveries(webhook.env, webhook.webhook_id, state=state, limit=100, below=None)
    return page.deliveries


async def until_attempts(store: WebhookStore, webhook: Webhook, attempts: int) -> Delivery:
    """The only delivery of a webhook, once so many attempts are noted."""

    async def is_noted() -> bool:
        found = await deliveries_of(store, webhook)
        return bool(found) and found[-1].attempts == attempts

    await until_answers(is_noted)
    return (await deliveries_of(store, webhook))[-1]


async def test_a_delivery_is_signed_and_holds_the_event(
    store: StreamStore, webhooks: WebhookStore, clock: Clock, good: Receiver
) -> None:
    webhook = await add_webhook(webhooks, good.url)
    stream = await add_stream(store)
    async with running(store, clock):
        await until(lambda: len(good.requests) == 1)
        delivery = await until_attempts(webhooks, webhook, 1)
    request = good.requests[0]
    event = request.event
    assert list(event) == [
        *("id", "type", "streamId", "edgeId", "sessionId", "state", "at", "seq", "reason", "data"),
    ]
    assert (event["type"], event["streamId"], event["seq"]) == ("stream.created", stream.stream_id, 1)
    assert request.id == event["id"] == delivery.delivery_id
    timestamp_s = int(request.headers["webhook-timestamp"])
    assert timestamp_s == clock() // 1000
    assert request.headers["webhook-signature"] == signature(webhook.secret, request.id, timestamp_s, request.body)
    assert request.headers["Content-Type"] == "application/json"
    assert (delivery.state, delivery.status, delivery.error) == (DeliveryState.DELIVERED, 204, None)


async def test_nothing_secret_is_delivered(
    store: StreamStore, webhooks: WebhookStore, clock: Clock, good: Receiver
) -> None:
    await add_webhook(webhooks, good.url)
    stream, key = await store.create(
        env=ENV, name="a", quality="high", low_latency=True, recording=False, reconnect_window_s=60
    )
    rotated, new_key = await store.changes.rotate_key(ENV, stream.stream_id)
    async with running(store, clock):
        await until(lambda: len(good.requests) == 2)
    sent = repr(good.requests)
    for secret in (key, new_key, stream.key_hash, rotated.key_hash):
        assert secret not in sent


async def test_a_failed_delivery_holds_up_its_stream_alone(
    store: StreamStore, webhooks: WebhookStore, clock: Clock
) -> None:
    async with receiver() as failing, running(store, clock) as service:
        failing.statuses = [500, 502, 404]
        await add_webhook(webhooks, failing.url)
        first = await add_stream(store)
        await until(lambda: failing.seqs(first) == [1])
        await go_live_and_end(store, first)
        # The second attempt is not due, so another stream goes on; its own event fails too.
        other = await add_stream(store)
        await until(lambda: failing.seqs(other) == [1])
        assert failing.seqs(first) == [1]
        clock.advance(10)
        service.wake()
        await until(lambda: len(failing.requests) >= 4)
        clock.advance(20)
        service.wake()
        await until(lambda: failing.seqs(first)[-1] == 4 and failing.seqs(other)[-1] == 1)
    seqs = failing.seqs(first)
    assert seqs == sorted(seqs)
    assert set(seqs) == {1, 2, 3, 4}
    repeats = [request for request in failing.requests if request.event["streamId"] == first.stream_id]
    firsts = [request for request in repeats if request.event["seq"] == 1]
    assert len(firsts) >= 2
    assert len({request.id for request in firsts}) == 1
    assert [request.headers["antlive-delivery-attempt"] for request in firsts] == [
        str(number + 1) for number in range(len(firsts))
    ]


async def test_backoff_doubles_to_a_bound_less_up_to_half_by_chance() -> None:
    plain = Backoff(first_s=5.0, most_s=3600.0, random=lambda: 0.0)
    assert [plain.delay_s(tries) for tries in (1, 2, 3, 4)] == [5.0, 10.0, 20.0, 40.0]
    assert plain.delay_s(1000) == 3600.0
    assert Backoff(first_s=5.0, random=lambda: 1.0).delay_s(2) == 5.0
    delays = {Backoff().delay_s(3) for _ in range(50)}
    assert all(10.0 <= delay <= 20.0 for delay in delays)
    assert len(delays) > 1


async def test_after_a_day_it_is_dead_and_can_be_delivered_again(
    store: StreamStore, webhooks: WebhookStore, clock: Clock
) -> None:
    async with receiver() as failing, running(store, clock) as service:
        failing.always = 503
        webhook = await add_webhook(webhooks, failing.url)
        stream = await add_stream(store)
        attempts = 1
        delivery = await until_attempts(webhooks, webhook, attempts)
        begun_ms = clock()
        while delivery.state is DeliveryState.PENDING:
            assert delivery.next_ms is not None
            clock.now_ms = delivery.next_ms
            service.wake()
            attempts += 1
            delivery = await until_attempts(webhooks, webhook, attempts)
        assert clock() - begun_ms == pytest.approx(86400 * 1000, abs=1000)
        assert 25 < attempts < 40
        assert delivery.state is DeliveryState.DEAD
        assert (delivery.status, delivery.error) == (503, "the receiver answered 503")
        failing.always = None
        # The dead one is out of the way of those that follow.
        await go_live_and_end(store, stream)
        await until(lambda: failing.seqs(stream)[-1] == 4)
        await webhooks.redeliver(
            ENV, webhook.webhook_id, delivery.delivery_id, now_ms=clock(), give_up_ms=clock() + 1000
        )
        await until(lambda: failing.seqs(stream)[-1] == 1)
        assert failing.requests[-1].id == delivery.delivery_id
        await until_attempts(webhooks, webhook, attempts + 1)
        assert not await deliveries_of(webhooks, webhook, DeliveryState.DEAD)


async def test_a_dead_and_a_silent_receiver_delay_nobody(
    store: StreamStore, webhooks: WebhookStore, clock: Clock, good: Receiver
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead_url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        async with receiver() as silent, running(store, clock, shares=Shares(total=24)):
            silent.is_held = True
            dead = await add_webhook(webhooks, dead_url)
            await add_webhook(webhooks, silent.url)
            await add_webhook(webhooks, good.url)
            streams = [await add_stream(store) for _ in range(40)]
            for stream in streams:
                await go_live_and_end(store, stream)
            await until(lambda: len(good.requests) == 160)
            assert len(silent.requests) <= 16
            assert all(good.seqs(stream) == [1, 2, 3, 4] for stream in streams)
            assert await deliveries_of(webhooks, dead)


async def test_attempts_to_a_suspect_are_few_until_one_goes_well(
    store: StreamStore, webhooks: WebhookStore, clock: Clock
) -> None:
    async with receiver() as held:
        held.statuses = [500]
        webhook = await add_webhook(webhooks, held.url)
        await add_stream(store)
        async with running(store, clock, shares=Shares(per_webhook=8, per_suspect=1)):
            await until_attempts(webhooks, webhook, 1)
            held.is_held = True
            for _ in range(20):
                await add_stream(store)
            await until(lambda: len(held.requests) == 2)
            assert len(held.requests) == 2
            held.is_held = False
            held.released.set()
            await until(lambda: len(held.requests) == 21)


async def test_an_answer_that_does_not_come_is_a_failure(
    store: StreamStore, webhooks: WebhookStore, clock: Clock
) -> None:
    async with receiver() as silent, running(store, clock, timeout_s=0.05):
        silent.is_held = True
        webhook = await add_webhook(webhooks, silent.url)
        await add_stream(store)
        delivery = await until_attempts(webhooks, webhook, 1)
    assert (delivery.state, delivery.error) == (DeliveryState.PENDING, "no complete answer in time")


async def test_redirects_are_not_followed(
    store: StreamStore, webhooks: WebhookStore, clock: Clock, good: Receiver
) -> None:
    async with receiver() as redirecting, running(store, clock):
        redirecting.always = 302
        redirecting.headers = {"Location": good.url}
        webhook = await add_webhook(webhooks, redirecting.url)
        await add_stream(store)
        delivery = await until_attempts(webhooks, webhook, 1)
    assert delivery.status == 302
    assert "redirects are not followed" in (delivery.error or "")
    assert good.requests == []


async def test_the_receiver_may_ask_for_time(store: StreamStore, webhooks: WebhookStore, clock: Clock) -> None:
    async with receiver() as busy, running(store, clock):
        busy.statuses, busy.headers = [429], {"Retry-After": "600"}
        webhook = await add_webhook(webhooks, busy.url)
        await add_stream(store)
        delivery = await until_attempts(webhooks, webhook, 1)
    assert delivery.next_ms == clock() + 600_000


async def test_a_receiver_that_is_gone_is_disabled_and_may_be_enabled_again(
    store: StreamStore, webhooks: WebhookStore, clock: Clock
) -> None:
    async with receiver() as gone, running(store, clock) as service:
        gone.statuses = [410]
        webhook = await add_webhook(webhooks, gone.url)
        stream = await add_stream(store)
        await until_attempts(webhooks, webhook, 1)
        disabled = await webhooks.get(ENV, webhook.webhook_id)
        assert (disabled.enabled, disabled.disabled_reason) == (False, "gone")
        await go_live_and_end(store, stream)  # not queued
        clock.advance(100)
        await until(lambda: service.consumer.counts.handled == 4)
        assert len(gone.requests) == 1
        await webhooks.update(ENV, webhook.webhook_id, enabled=True)
        await until(lambda: gone.seqs(stream) == [1, 1])
        assert (await webhooks.get(ENV, webhook.webhook_id)).disabled_reason is None


async def test_a_rotated_secret_signs_for_a_while(
    store: StreamStore, webhooks: WebhookStore, clock: Clock, good: Receiver
) -> None:
    webhook = await add_webhook(webhooks, good.url)
    secret = new_secret()
    await webhooks.rotate(ENV, webhook.webhook_id, secret, previous_until_ms=clock() + 1000)
    async with running(store, clock):
        await add_stream(store)
        await until(lambda: len(good.requests) == 1)
        clock.advance(2)
        await add_stream(store)
        await until(lambda: len(good.requests) == 2)
    for request, secrets in zip(good.requests, ([secret, webhook.secret], [secret]), strict=True):
        timestamp_s = int(request.headers["webhook-timestamp"])
        expected = [signature(each, request.id, timestamp_s, request.body) for each in secrets]
        assert request.headers["webhook-signature"].split(" ") == expected


async def test_no_connection_to_a_private_address(
    store: StreamStore, webhooks: WebhookStore, clock: Clock, good: Receiver
) -> None:
    port = good.url.rsplit(":", 1)[1]
    # The name is checked by what it resolves to as the connection is made; the literal before.
    async with running(store, clock, policy=WebhookPolicy(allow_http=True)):
        refusals = {"localhost": "no public address", "127.0.0.1": "no public address", "2130706433": "InvalidUrl"}
        for host, refusal in refusals.items():
            webhook = await add_webhook(webhooks, f"http://{host}:{port}")
            await add_stream(store)
            delivery = await until_attempts(webhooks, webhook, 1)
            assert refusal in (delivery.error or "")
            await webhooks.delete(ENV, webhook.webhook_id)
    assert good.requests == []


async def test_what_a_deleted_webhook_left_is_purged(
    store: StreamStore, webhooks: WebhookStore, clock: Clock, good: Receiver
) -> None:
    webhook = await add_webhook(webhooks, good.url)
    async with running(store, clock):
        await go_live_and_end(store, await add_stream(store))
        await until(lambda: len(good.requests) == 4)
    async with receiver() as failing:
        failing.always = 500
        await webhooks.update(ENV, webhook.webhook_id, url=failing.url)
        async with running(store, clock):
            await go_live_and_end(store, await add_stream(store))
            await until(lambda: len(failing.requests) == 1)
    await webhooks.delete(ENV, webhook.webhook_id)
    await webhooks.delete(ENV, webhook.webhook_id)  # sent twice
    pattern = f"{store.keys.prefix}*{webhook.webhook_id}*"
    assert await store.redis.keys(pattern)
    async with running(store, clock):

        async def is_purged() -> bool:
            return not await store.redis.keys(pattern)

        await until_answers(is_purged)


async def test_a_full_queue_is_told_of_and_kept_in_order(store: StreamStore, webhooks: WebhookStore) -> None:
    from streams.event_group import EventGroup
    from streams.webhook_queue import DeliveryQueue, Routable

    webhook = await add_webhook(webhooks, "http://example.com/")
    group = EventGroup(store.redis, store.keys.prefix)
    queue = DeliveryQueue(store.redis, store.keys.prefix, pending_max=2)
    stream = await add_stream(store)
    await go_live_and_end(store, stream)
    await group.take_lead()
    entries = (await group.read(10)).entries
    items = [
        Routable(
            entry_id=entry.entry_id,
            event_id=f"ev_{number}",
            env=ENV,
            stream_id=stream.stream_id,
            event_type="stream.live",
            seq=number,
            body="{}",
        )
        for number, entry in enumerate(entries, 1)
    ]
    await queue.route(group.holder, items, now_ms=1, give_up_ms=2)
    assert [delivery.seq for delivery in await deliveries_of(webhooks, webhook, DeliveryState.PENDING)] == [2, 1]
    dead = await deliveries_of(webhooks, webhook, DeliveryState.DEAD)
    assert [delivery.seq for delivery in dead] == [4, 3]
    assert dead[0].error == "not tried: 2 deliveries were waiting already"


async def test_what_becomes_of_recordings_is_delivered_in_order(
    store: StreamStore, webhooks: WebhookStore, clock: Clock, good: Receiver
) -> None:
    webhook = await add_webhook(webhooks, good.url)
    recordings = RecordingStore(store.redis, store.keys)
    stream = await add_stream(store)
    async with running(store, clock):
        for number, end in enumerate((RecordingState.READY, RecordingState.FAILED)):
            recording_id = f"rec_01k0000000000000000000000{number}"
            for state in (RecordingState.RECORDING, end):
                await recordings.put(
                    recording_id,
                    stream_id=stream.stream_id,
                    session_id=recording_id.replace("rec_", "se_"),
                    progress=RecordingProgress(
                        state=state, duration_s=4.0, reason="disk_full" if state is RecordingState.FAILED else ""
                    ),
                )
            await recordings.delete(recording_id, stream_id=stream.stream_id, env=ENV, reason="api")
        await until(lambda: len(good.requests) == 7)
    told = [request.event for request in good.requests[1:]]
    assert [(event["type"], event["data"]["recordingId"][-1], event["reason"]) for event in told] == [
        *(("recording.started", "0", "started"), ("recording.ready", "0", "ready"), ("recording.deleted", "0", "api")),
        *(("recording.started", "1", "started"), ("recording.failed", "1", "disk_full")),
        ("recording.deleted", "1", "api"),
    ]
    assert told[4]["data"] == {"recordingId": "rec_01k00000000000000000000001", "duration": 4.0, "size": 0, "gaps": 0}
    for request in good.requests:
        timestamp_s = int(request.headers["webhook-timestamp"])
        assert request.headers["webhook-signature"] == signature(webhook.secret, request.id, timestamp_s, request.body)
