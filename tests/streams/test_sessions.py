"""The transition scripts on a real Redis: table, fencing, races, and what they write."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from streams.connection import open_redis
from streams.errors import AlreadyPublishing, KeyRevoked, StaleSession
from streams.ids import key_hash, new_event_id, new_session_id
from streams.model import Claim, NodeSession
from streams.state import SESSION_STATES, Event, IllegalTransition, State, rows_of, transition
from streams.store import StreamStore
from tests.redis_server import RedisServer
from tests.streams.helpers import NODE, begin, events_of, new_stream, read, session_of, stream_in


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
async def test_every_pair_writes_hash_and_event_together_or_nothing(
    store: StreamStore, state: State, event: Event
) -> None:
    before = await stream_in(store, state)
    events_before = await events_of(store, before)
    row = rows_of(event).get(state)

    async def happen() -> State:
        if event is Event.PUBLISH_ACCEPTED:
            return (await begin(store, before)).stream.state
        session_id = before.session_id or new_session_id()
        return await store.apply(before.stream_id, event, session_id=session_id, epoch=before.epoch)

    if row is None:
        with pytest.raises(_refusal(state, event)):
            await happen()
        assert await read(store, before) == before
        assert await events_of(store, before) == events_before
        return

    assert await happen() is row.to
    after = await read(store, before)
    *earlier, appended = await events_of(store, before)
    assert earlier == events_before
    assert after.state is appended.state is row.to
    assert appended.type is row.emits
    assert appended.seq == after.seq == before.seq + 1
    assert appended.reason == after.reason == event.value
    assert (appended.edge_id, appended.session_id) == (after.edge_id, after.session_id)
    is_running = row.to in SESSION_STATES
    assert bool(await store.redis.exists(store.keys.session(before.stream_id))) is is_running
    assert bool(await store.redis.hexists(store.keys.sessions, before.stream_id)) is is_running
    assert bool(await store.sessions_of_node(NODE)) is is_running


def _refusal(state: State, event: Event) -> type[Exception]:
    if event is Event.PUBLISH_ACCEPTED:
        return AlreadyPublishing
    # An idle stream has no session that the event could be of.
    return StaleSession if state is State.IDLE else IllegalTransition


async def test_a_claim_counts_the_epoch_and_notes_the_session(store: StreamStore) -> None:
    stream, _ = await new_stream(store)
    session_id = new_session_id()
    claim = await store.begin_session(
        stream.stream_id, key_hash=stream.key_hash, session_id=session_id, node_id="node-b"
    )
    assert claim.epoch == claim.stream.epoch == 1
    assert (claim.stream.session_id, claim.stream.node_id) == (session_id, "node-b")
    session = await store.redis.hgetall(store.keys.session(stream.stream_id))
    assert {name: session[name] for name in (b"session_id", b"node_id", b"epoch")} == {
        b"session_id": session_id.encode(),
        b"node_id": b"node-b",
        b"epoch": b"1",
    }
    await store.apply(stream.stream_id, Event.WINDOW_OVER, session_id=session_id, epoch=1)
    assert (await begin(store, stream)).epoch == 2


async def test_a_wrong_key_begins_nothing(store: StreamStore) -> None:
    stream, _ = await new_stream(store)
    for stream_id in (stream.stream_id, "ls_00000000000000000000000000"):
        with pytest.raises(KeyRevoked) as caught:
            await store.begin_session(
                stream_id, key_hash=key_hash("sk_other"), session_id=new_session_id(), node_id=NODE
            )
        assert key_hash("sk_other") not in str(caught.value)
    assert await read(store, stream) == stream
    assert await events_of(store, stream) == []


async def test_of_many_publishers_at_once_exactly_one_wins(server: RedisServer, store: StreamStore) -> None:
    stream, _ = await new_stream(store)
    clients = [open_redis(server.url) for _ in range(16)]
    rivals = [StreamStore(client, prefix=store.keys.prefix) for client in clients]
    for round_number in range(1, 6):
        outcomes = await asyncio.gather(
            *(begin(rival, stream, node_id=f"node-{number}") for number, rival in enumerate(rivals)),
            return_exceptions=True,
        )
        (winner,) = [outcome for outcome in outcomes if isinstance(outcome, Claim)]
        losers = [outcome for outcome in outcomes if isinstance(outcome, AlreadyPublishing)]
        assert len(losers) == len(rivals) - 1
        assert {loser.state for loser in losers} == {State.CONNECTING}
        now = await read(store, stream)
        assert now == winner.stream
        assert now.epoch == round_number
        await store.apply(stream.stream_id, Event.WINDOW_OVER, session_id=session_of(now), epoch=now.epoch)
    assert len(await events_of(store, stream)) == 10
    for client in clients:
        await client.aclose()


async def test_a_fenced_off_writer_changes_nothing(store: StreamStore) -> None:
    stream, _ = await new_stream(store)
    old = await begin(store, stream)
    old_id = session_of(old.stream)
    await store.apply(stream.stream_id, Event.NODE_LOST, session_id=old_id, epoch=old.epoch)
    new = await begin(store, stream)
    new_id = session_of(new.stream)
    for session_id, epoch in ((old_id, old.epoch), (old_id, new.epoch), (new_id, old.epoch), (new_id, new.epoch + 1)):
        with pytest.raises(StaleSession):
            await store.apply(stream.stream_id, Event.RENDITIONS_READY, session_id=session_id, epoch=epoch)
    with pytest.raises(StaleSession):
        await store.apply("ls_00000000000000000000000000", Event.WINDOW_OVER, session_id=new_id, epoch=new.epoch)
    assert await read(store, stream) == new.stream
    state = await store.apply(stream.stream_id, Event.RENDITIONS_READY, session_id=new_id, epoch=new.epoch)
    assert state is State.LIVE


async def test_times_reason_and_data(store: StreamStore) -> None:
    def at(minute: int) -> datetime:
        return datetime(2026, 3, 15, 10, minute, 1, 234_000, UTC)

    stream, _ = await new_stream(store)
    claim = await store.begin_session(
        stream.stream_id, key_hash=stream.key_hash, session_id=new_session_id(), node_id=NODE, at=at(0)
    )
    session_id = session_of(claim.stream)

    async def apply(event: Event, minute: int, reason: str | None = None) -> None:
        data = {"minute": minute, "text": "ä\n"}
        await store.apply(
            stream.stream_id, event, session_id=session_id, epoch=claim.epoch, at=at(minute), reason=reason, data=data
        )

    await apply(Event.RENDITIONS_READY, 1)
    await apply(Event.ENCODER_LOST, 2, reason="timeout")
    await apply(Event.ENCODER_BACK, 3)
    now = await read(store, stream)
    assert now.started_at == at(1).replace(microsecond=0)
    assert now.ended_at is None
    await apply(Event.PIPELINE_FAILED, 4, reason="encoder_crashed")
    now = await read(store, stream)
    assert (now.started_at, now.ended_at) == (at(1).replace(microsecond=0), at(4).replace(microsecond=0))
    assert now.reason == "encoder_crashed"

    events = await events_of(store, stream)
    assert [event.at for event in events] == [at(minute) for minute in range(5)]
    assert [event.data.get("minute") for event in events] == [None, 1, 2, 3, 4]
    assert events[1].data["text"] == "ä\n"
    reasons = ["publish_accepted", "renditions_ready", "timeout", "encoder_back", "encoder_crashed"]
    assert [event.reason for event in events] == reasons
    assert len({event.id for event in events}) == 5

    # A later session that has not gone live yet keeps both: they say when the stream *last* did.
    kept = (await begin(store, stream)).stream
    assert (kept.started_at, kept.ended_at) == (now.started_at, now.ended_at)


async def test_an_event_that_is_applied_again_under_its_id_happens_once(store: StreamStore) -> None:
    stream, _ = await new_stream(store)
    claim = await begin(store, stream)
    session_id = session_of(claim.stream)
    for event, state in ((Event.ENCODER_LOST, State.CONNECTING), (Event.WINDOW_OVER, State.ENDED)):
        event_id = new_event_id()
        for _ in range(3):
            after = await store.apply(
                stream.stream_id, event, session_id=session_id, epoch=claim.epoch, event_id=event_id
            )
            assert after is state
        assert (await events_of(store, stream))[-1].id == event_id
    assert [event.seq for event in await events_of(store, stream)] == [2, 3, 4]


async def test_a_restarted_node_finds_its_running_sessions(store: StreamStore) -> None:
    streams = [(await new_stream(store))[0] for _ in range(4)]
    ended, connecting, live, elsewhere = [
        (await begin(store, stream, node_id="node-b" if stream is streams[3] else NODE)).stream for stream in streams
    ]
    for stream, event in ((ended, Event.WINDOW_OVER), (live, Event.RENDITIONS_READY)):
        await store.apply(stream.stream_id, event, session_id=session_of(stream), epoch=stream.epoch)
    found = {session.stream_id: session for session in await store.sessions_of_node(NODE)}
    assert found == {
        stream.stream_id: NodeSession(
            stream=found[stream.stream_id].stream,
            stream_id=stream.stream_id,
            session_id=session_of(stream),
            epoch=stream.epoch,
            state=state,
        )
        for stream, state in ((connecting, State.CONNECTING), (live, State.LIVE))
    }
    assert {session.stream.edge_id for session in found.values()} == {connecting.edge_id, live.edge_id}
    (other,) = await store.sessions_of_node("node-b")
    assert other.stream_id == elsewhere.stream_id


async def test_a_change_is_logged_once_from_old_to_new(store: StreamStore) -> None:
    stream, _ = await new_stream(store)
    with capture_logs() as logs:
        claim = await begin(store, stream)
        await store.apply(
            stream.stream_id, Event.RENDITIONS_READY, session_id=session_of(claim.stream), epoch=claim.epoch
        )
        with pytest.raises(IllegalTransition):
            await store.apply(
                stream.stream_id, Event.RENDITIONS_READY, session_id=session_of(claim.stream), epoch=claim.epoch
            )
    assert [line["change"] for line in logs] == ["idle -> connecting", "connecting -> live"]
    assert all(line["stream_id"] == stream.stream_id for line in logs)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(Event), max_size=25))
def test_state_and_events_agree_after_any_history(server: RedisServer, history: list[Event]) -> None:
    async def run() -> None:
        redis = open_redis(server.url)
        store = StreamStore(redis, prefix=f"history-{new_session_id()}:")
        stream, _ = await new_stream(store)
        expected: list[State] = []
        state = State.IDLE
        for event in history:
            now = await read(store, stream)
            try:
                if event is Event.PUBLISH_ACCEPTED:
                    await begin(store, stream)
                else:
                    session_id = now.session_id or new_session_id()
                    await store.apply(stream.stream_id, event, session_id=session_id, epoch=now.epoch)
            except (AlreadyPublishing, IllegalTransition, StaleSession):
                assert state not in rows_of(event)
            else:
                state = transition(state, event).to
                expected.append(state)
        events = await events_of(store, stream)
        assert [event.state for event in events] == expected
        assert [event.seq for event in events] == list(range(2, len(expected) + 2))
        assert (await read(store, stream)).state is state
        await redis.aclose()

    asyncio.run(run())
