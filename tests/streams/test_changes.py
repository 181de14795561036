"""Change, rotate, end and delete on a real Redis: what each writes, and when each is refused."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from streams.errors import KeyRevoked, StaleSession, StreamBusy, StreamNotFound
from streams.ids import is_stream_key, key_hash
from streams.records import text
from streams.state import SESSION_STATES, Event, EventType, IllegalTransition, State
from streams.store import StreamStore
from tests.redis_server import RedisServer
from tests.streams.helpers import ENV, all_events_of, begin, events_of, new_stream, read, session_of, stream_in
from tests.streams.test_lost_replies import lossy_store

FREE = [state for state in State if state not in SESSION_STATES]
NOBODY = "ls_00000000000000000000000000"


async def test_a_stream_is_created_with_its_event(store: StreamStore) -> None:
    stream, _ = await new_stream(store, name="ü")
    (event,) = await all_events_of(store, stream)
    assert (event.type, event.env, event.session_id, event.state, event.seq) == (
        EventType.CREATED, ENV, "", State.IDLE, 1,
    )  # fmt: skip
    assert event.data == {"name": "ü", "quality": "standard", "lowLatency": True, "recording": False}
    assert await read(store, stream) == stream


@pytest.mark.parametrize("state", FREE)
async def test_fields_change_while_there_is_no_session(store: StreamStore, state: State) -> None:
    before = await stream_in(store, state)
    after = await store.changes.update(
        ENV, before.stream_id, {"name": "now", "recording": True, "low_latency": False, "quality": "high"}
    )
    assert after == await read(store, before)
    assert (after.name, after.recording, after.low_latency, after.quality) == ("now", True, False, "high")
    assert (after.state, after.key_hash, after.seq) == (before.state, before.key_hash, before.seq + 1)
    event = (await all_events_of(store, before))[-1]
    assert (event.type, event.seq, event.state) == (EventType.UPDATED, after.seq, state)
    assert event.session_id == (before.session_id or "")
    assert event.data == {"name": "now", "recording": True, "lowLatency": False, "quality": "high"}


@pytest.mark.parametrize("state", FREE)
async def test_a_rotated_key_replaces_the_old_one_at_once(store: StreamStore, state: State) -> None:
    before = await stream_in(store, state)
    with capture_logs() as logs:
        after, key = await store.changes.rotate_key(ENV, before.stream_id)
    assert is_stream_key(key)
    assert after == await read(store, before)
    assert after.key_hash == key_hash(key) != before.key_hash
    assert await store.find_by_key(key_hash(key)) == after
    assert not await store.redis.exists(store.keys.key(before.key_hash))
    with pytest.raises(KeyRevoked):
        await begin(store, before)
    event = (await all_events_of(store, before))[-1]
    assert (event.type, event.state, event.data) == (EventType.KEY_ROTATED, state, {})
    assert key not in repr((logs, event))
    assert (await begin(store, after)).stream.state is State.CONNECTING


@pytest.mark.parametrize("state", FREE)
async def test_a_deleted_stream_leaves_its_events_alone(store: StreamStore, state: State) -> None:
    stream = await stream_in(store, state)
    kept = {text(name) for name in await store.redis.keys(f"{store.keys.prefix}*")}
    await store.changes.delete(ENV, stream.stream_id)
    assert await store.get(ENV, stream.stream_id) is None
    assert await store.find_by_key(stream.key_hash) is None
    assert await store.find_by_edge(stream.edge_id) is None
    event = (await all_events_of(store, stream))[-1]
    assert (event.type, event.state, event.env, event.seq) == (EventType.DELETED, state, ENV, stream.seq + 1)
    left = {text(name) for name in await store.redis.keys(f"{store.keys.prefix}*")}
    assert left - kept == {store.keys.request(event.id)}
    assert left & kept == {store.keys.events} | ({store.keys.nodes} if stream.session_id else set())
    assert await store.redis.ttl(store.keys.request(event.id)) > 0
    with pytest.raises(KeyRevoked):
        await begin(store, stream)
    if stream.session_id is not None:
        with pytest.raises(StaleSession):
            await store.apply(stream.stream_id, Event.ENCODER_BACK, session_id=stream.session_id, epoch=stream.epoch)


@pytest.mark.parametrize("state", sorted(SESSION_STATES))
async def test_nothing_changes_while_there_is_a_session(store: StreamStore, state: State) -> None:
    stream = await stream_in(store, state)
    events = await events_of(store, stream)
    changes = store.changes
    for change in (
        changes.update(ENV, stream.stream_id, {"name": "x"}),
        changes.rotate_key(ENV, stream.stream_id),
        changes.delete(ENV, stream.stream_id),
    ):
        with pytest.raises(StreamBusy) as caught:
            await change
        assert caught.value.state is state
    # Nor while the session waits for its encoder.
    await store.apply(stream.stream_id, Event.ENCODER_LOST, session_id=session_of(stream), epoch=stream.epoch)
    with pytest.raises(StreamBusy):
        await changes.rotate_key(ENV, stream.stream_id)
    assert (await read(store, stream)).key_hash == stream.key_hash
    assert len(await events_of(store, stream)) == len(events) + 1


@pytest.mark.parametrize("env", [ENV, "other"])
async def test_what_an_environment_has_not_it_cannot_change(store: StreamStore, env: str) -> None:
    stream, _ = await new_stream(store)
    stream_id = NOBODY if env == ENV else stream.stream_id
    for change in (
        store.changes.update(env, stream_id, {"name": "x"}),
        store.changes.rotate_key(env, stream_id),
        store.changes.delete(env, stream_id),
        store.changes.end_session(env, stream_id),
    ):
        with pytest.raises(StreamNotFound):
            await change
    assert await read(store, stream) == stream
    assert await events_of(store, stream) == []


@pytest.mark.parametrize("state", State)
async def test_a_session_ends_when_there_is_one(store: StreamStore, state: State) -> None:
    before = await stream_in(store, state)
    if state not in SESSION_STATES:
        with pytest.raises(IllegalTransition) as caught:
            await store.changes.end_session(ENV, before.stream_id)
        assert caught.value.state is state
        assert await read(store, before) == before
        return
    after = await store.changes.end_session(ENV, before.stream_id)
    assert after == await read(store, before)
    assert (after.state, after.reason, after.key_hash) == (State.ENDED, "ended_by_api", before.key_hash)
    assert after.ended_at is not None
    event = (await events_of(store, before))[-1]
    assert (event.type, event.session_id, event.reason) == (EventType.ENDED, before.session_id, "ended_by_api")
    # What the node that hosts it still says about the session is refused, and its key goes on to be good.
    with pytest.raises(IllegalTransition):
        await store.apply(after.stream_id, Event.WINDOW_OVER, session_id=session_of(after), epoch=after.epoch)
    assert (await begin(store, after)).epoch == before.epoch + 1


async def test_every_change_happens_once_though_its_reply_is_lost(server: RedisServer, store: StreamStore) -> None:
    async with lossy_store(server, store.keys.prefix) as (lossy, proxy):
        warm, _ = await new_stream(lossy)
        await lossy.changes.update(ENV, warm.stream_id, {"name": "warm"})
        await begin(lossy, warm)
        await lossy.changes.end_session(ENV, warm.stream_id)
        await lossy.changes.delete(ENV, warm.stream_id)

        stream, _ = await new_stream(lossy)
        proxy.lose_next_reply()
        assert (await lossy.changes.update(ENV, stream.stream_id, {"name": "once"})).name == "once"
        proxy.lose_next_reply()
        after, key = await lossy.changes.rotate_key(ENV, stream.stream_id)
        assert after.key_hash == key_hash(key) == (await read(store, stream)).key_hash
        await begin(lossy, after)
        proxy.lose_next_reply()
        assert (await lossy.changes.end_session(ENV, stream.stream_id)).state is State.ENDED
        proxy.lose_next_reply()
        await lossy.changes.delete(ENV, stream.stream_id)
        assert proxy.lost == 4
        types = [event.type.removeprefix("stream.") for event in await events_of(store, stream)]
        assert types == ["updated", "key_rotated", "connecting", "ended", "deleted"]
