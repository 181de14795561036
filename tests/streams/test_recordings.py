"""Recordings in Redis: each change with its event, whoever asks twice."""

from __future__ import annotations

import pytest

from streams.recording_model import RecordingProgress, RecordingState
from streams.recordings import PutOutcome, RecordingBusy, RecordingNotFound, RecordingStore
from streams.state import Event, State
from streams.store import StreamStore
from tests.streams.helpers import ENV, all_events_of, begin, new_stream, read, session_of, stream_in

RECORDING_ID = "rec_01k00000000000000000000000"
RECORDING = RecordingProgress(state=RecordingState.RECORDING, started_ms=1_700_000_000_123, duration_s=2.0)
READY = RecordingProgress(
    state=RecordingState.READY,
    started_ms=1_700_000_000_123,
    duration_s=61.5,
    size_bytes=1000,
    renditions=({"name": "720p"},),
    gaps=({"duration": 1.0},),
)


@pytest.fixture
def recordings(store: StreamStore) -> RecordingStore:
    return RecordingStore(store.redis, store.keys)


async def test_from_started_to_deleted(store: StreamStore, recordings: RecordingStore) -> None:
    stream = await stream_in(store, State.LIVE)
    session_id = session_of(stream)

    async def put(progress: RecordingProgress) -> PutOutcome:
        return await recordings.put(
            RECORDING_ID, stream_id=stream.stream_id, session_id=session_id, progress=progress
        )  # fmt: skip

    assert [await put(RECORDING) for _ in range(3)] == [PutOutcome.OK] * 3
    assert await recordings.open_ids() == [RECORDING_ID]
    with pytest.raises(RecordingBusy):
        await recordings.delete(RECORDING_ID, stream_id=stream.stream_id, env=ENV, reason="api")
    assert [await put(READY), await put(READY), await put(RECORDING)] == [PutOutcome.OK, *[PutOutcome.OVER] * 2]
    entry = await recordings.get(ENV, RECORDING_ID)
    assert entry.progress == READY
    assert (entry.stream_id, entry.edge_id, entry.session_id) == (stream.stream_id, stream.edge_id, session_id)
    with pytest.raises(RecordingNotFound):
        await recordings.get("other", RECORDING_ID)
    with pytest.raises(RecordingNotFound):
        await recordings.delete(RECORDING_ID, stream_id=stream.stream_id, env="other", reason="api")
    assert await recordings.open_ids() == [] and await recordings.closed_before(1e12) == [RECORDING_ID]
    assert (await recordings.of_stream(stream.stream_id, limit=5)).recordings == (entry,)
    await recordings.delete(RECORDING_ID, stream_id=stream.stream_id, env=ENV, reason="api")
    assert await recordings.deleted_since(0) == [RECORDING_ID] and await recordings.closed_before(1e12) == []
    assert (await recordings.of_environment(ENV, limit=5)).total == 0
    assert await put(READY) is PutOutcome.DELETED, "a recorder that was away hears of it"
    with pytest.raises(RecordingNotFound):
        await recordings.delete(RECORDING_ID, stream_id=stream.stream_id, env=ENV, reason="api")
    events = [event for event in await all_events_of(store, stream) if event.type.value.startswith("recording.")]
    assert [event.type.value for event in events] == ["recording.started", "recording.ready", "recording.deleted"]
    assert {(event.session_id, event.state) for event in events} == {(session_id, State.LIVE)}
    assert events[1].data == {"recordingId": RECORDING_ID, "duration": 61.5, "size": 1000, "gaps": 1}
    numbers = [event.seq for event in await all_events_of(store, stream)]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_it_does_not_hide_what_the_session_did_last(store: StreamStore, recordings: RecordingStore) -> None:
    stream, _ = await new_stream(store)
    claim = await begin(store, stream)
    session_id = session_of(claim.stream)
    event_id = "ev_01k00000000000000000000000"

    async def ready() -> State:
        return await store.apply(
            stream.stream_id, Event.RENDITIONS_READY, session_id=session_id, epoch=claim.epoch, event_id=event_id
        )  # fmt: skip

    assert await ready() is State.LIVE
    await recordings.put(RECORDING_ID, stream_id=stream.stream_id, session_id=session_id, progress=RECORDING)
    # The answer was lost on its way: ingest asks again.
    assert await ready() is State.LIVE
    assert [event.type.value for event in await all_events_of(store, stream)][-2:] == [
        "stream.live", "recording.started"
    ]  # fmt: skip


async def test_recordings_outlive_their_stream_without_events(store: StreamStore, recordings: RecordingStore) -> None:
    stream = await stream_in(store, State.ENDED)
    session_id = session_of(stream)
    await recordings.put(RECORDING_ID, stream_id=stream.stream_id, session_id=session_id, progress=RECORDING)
    await store.changes.delete(ENV, stream.stream_id)
    count = len(await all_events_of(store, stream))
    outcome = await recordings.put(RECORDING_ID, stream_id=stream.stream_id, session_id=session_id, progress=READY)
    assert outcome is PutOutcome.OK
    assert [each.recording_id for each in (await recordings.of_environment(ENV, limit=5)).recordings] == [RECORDING_ID]
    await recordings.delete(RECORDING_ID, stream_id=stream.stream_id, env=ENV, reason="retention")
    assert len(await all_events_of(store, stream)) == count
    assert await store.get(ENV, stream.stream_id) is None and await store.redis.keys(f"*{stream.stream_id}*") == []
    outcome = await recordings.put(
        RECORDING_ID[:-1] + "1", stream_id=stream.stream_id, session_id=session_id, progress=READY
    )  # fmt: skip
    assert outcome is PutOutcome.MISSING


async def test_lists_are_newest_first_and_in_pages(store: StreamStore, recordings: RecordingStore) -> None:
    stream, _ = await new_stream(store)
    ids = [f"rec_01k0000000000000000000000{number}" for number in range(5)]
    for recording_id in ids:
        await recordings.put(
            recording_id, stream_id=stream.stream_id, session_id="se_" + recording_id[4:], progress=RECORDING
        )  # fmt: skip
    await read(store, stream)
    found: list[str] = []
    below: int | None = None
    while True:
        page = await recordings.of_stream(stream.stream_id, limit=2, below=below)
        assert page.total == 5
        found += [entry.recording_id for entry in page.recordings]
        if not page.has_more:
            break
        below = page.recordings[-1].position
    assert found == ids[::-1]
