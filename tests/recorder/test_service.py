"""The recorder of a node with a real Redis: states, what is closed late, what is removed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from config.session import RECORDED_FILE
from config.settings import Settings
from recorder import recorder, teller
from recorder.service import recording
from streams.connection import open_redis
from streams.model import Stream
from streams.recording_model import RecordingEntry, RecordingState
from streams.recordings import RecordingStore
from streams.state import Event
from streams.store import StreamStore
from tests.recorder.helpers import RecordedWriter, playlist, stored
from tests.redis_server import RedisServer, redis_server
from tests.streams.helpers import ENV, all_events_of, begin, new_stream, session_of


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as started:
        yield started


@dataclass(slots=True)
class Place:
    """A node's directories and its Redis."""

    settings: Settings
    url: str
    store: StreamStore
    recordings: RecordingStore

    @asynccontextmanager
    async def recorder(self, node_id: str = "node_a") -> AsyncIterator[None]:
        async with recording(self.settings, node_id, self.url):
            yield

    async def session(self) -> tuple[Stream, int, RecordedWriter]:
        """A stream that is live and recorded, its epoch, and its publisher."""
        stream, _ = await new_stream(self.store)
        claim = await begin(self.store, stream)
        session_id = session_of(claim.stream)
        await self.store.apply(stream.stream_id, Event.RENDITIONS_READY, session_id=session_id, epoch=claim.epoch)
        writer = RecordedWriter(self.settings.effective_media_dir, edge_id=stream.edge_id, session_id=session_id)
        return claim.stream, claim.epoch, writer

    async def wait_for(self, stream: Stream, state: RecordingState, duration_s: float) -> RecordingEntry:
        found: list[RecordingEntry] = []

        async def reached() -> bool:
            found[:] = (await self.recordings.of_stream(stream.stream_id, limit=1)).recordings
            return bool(found) and (found[0].progress.state, found[0].progress.duration_s) == (state, duration_s)

        await until(reached)
        return found[0]

    def directory(self, stream: Stream) -> Path:
        return self.settings.effective_recordings_dir / session_of(stream).replace("se_", "rec_")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():  # noqa: ASYNC110 (what is waited for is on disk or in Redis)
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def place(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    # What takes seconds so that nodes don't get in each other's way takes moments here.
    monkeypatch.setattr(teller, "OTHERS_FIRST_S", 0.3)
    monkeypatch.setattr(teller, "_LEFT_EVERY_S", 0.1)
    monkeypatch.setattr(teller, "_RETENTION_EVERY_S", 0.1)
    monkeypatch.setattr(teller, "_UPDATE_S", 0.1)
    monkeypatch.setattr(recorder, "_QUIET_S", 0.5)
    prefix = f"test-{secrets.token_hex(4)}:"
    settings = Settings(
        data_dir=tmp_path / "data",
        media_dir=tmp_path / "media",
        recordings_dir=tmp_path / "recordings",
        recording_reserve_mb=0,
        redis_prefix=prefix,
    )
    redis = open_redis(server.url)
    store = StreamStore(redis, prefix)
    yield Place(settings, server.url, store, RecordingStore(redis, store.keys))
    await redis.aclose()


async def types(place: Place, stream: Stream) -> list[str]:
    events = await all_events_of(place.store, stream)
    return [event.type.value for event in events if event.type.value.startswith("recording.")]


async def test_a_session_is_recorded_and_closed(place: Place) -> None:
    stream, _, writer = await place.session()
    async with place.recorder():
        writer.segments(2)
        await place.wait_for(stream, RecordingState.RECORDING, 4.0)
        writer.segments(1)
        writer.publication.end()
        entry = await place.wait_for(stream, RecordingState.READY, 6.0)
    assert entry.progress.gaps == () and len(stored(place.directory(stream))) == 3
    assert (writer.directory / RECORDED_FILE).read_text() == "over"
    assert await types(place, stream) == ["recording.started", "recording.ready"]


async def test_what_ends_while_the_recorder_stops_is_recorded_to_its_end(place: Place) -> None:
    stream, _, writer = await place.session()
    async with place.recorder():
        writer.segments(1)
        await place.wait_for(stream, RecordingState.RECORDING, 2.0)
        writer.segments(2)
        writer.publication.end()
    await place.wait_for(stream, RecordingState.READY, 6.0)


async def test_a_session_that_never_says_its_end_is_closed_when_it_is_over(place: Place) -> None:
    stream, epoch, writer = await place.session()
    async with place.recorder():
        writer.segments(3)
        await place.wait_for(stream, RecordingState.RECORDING, 6.0)
    # The node is lost, and with it what it held in memory; another process comes, on the same disk.
    for path in writer.directory.rglob("*.m4s"):
        path.unlink()
    (writer.directory / "journal.jsonl").unlink()
    async with place.recorder():
        await asyncio.sleep(0.6)
        assert await types(place, stream) == ["recording.started"], "the session may still go on elsewhere"
        await place.store.apply(stream.stream_id, Event.NODE_LOST, session_id=session_of(stream), epoch=epoch)
        entry = await place.wait_for(stream, RecordingState.READY, 6.0)
    assert entry.progress.reason == "session_lost"
    assert playlist(place.directory(stream))[-1] == "#EXT-X-ENDLIST"


async def test_what_redis_has_lost_is_told_again(place: Place) -> None:
    stream, _, writer = await place.session()
    async with place.recorder():
        writer.segments(3)
        writer.publication.end()
        entry = await place.wait_for(stream, RecordingState.READY, 6.0)
    keys = place.store.keys
    await place.store.redis.delete(
        keys.recording(entry.recording_id), keys.stream_recordings(stream.stream_id), keys.environment_recordings(ENV)
    )
    async with place.recorder():
        again = await place.wait_for(stream, RecordingState.READY, 6.0)
    assert again.recording_id == entry.recording_id


async def test_deleted_ones_are_removed_also_by_who_was_away(place: Place) -> None:
    stream, _, writer = await place.session()
    async with place.recorder():
        writer.segments(1)
        writer.publication.end()
        entry = await place.wait_for(stream, RecordingState.READY, 2.0)
    await place.recordings.delete(entry.recording_id, stream_id=stream.stream_id, env=ENV, reason="api")
    assert place.directory(stream).is_dir()

    async def gone() -> bool:
        return not place.directory(stream).exists()

    async with place.recorder():
        await until(gone)


async def test_retention(place: Place) -> None:
    place.settings = place.settings.model_copy(update={"recording_retention_s": 1.0})
    stream, _, writer = await place.session()

    async def gone() -> bool:
        return not place.directory(stream).exists()

    async with place.recorder():
        writer.segments(1)
        writer.publication.end()
        await place.wait_for(stream, RecordingState.READY, 2.0)
        await until(gone)
    assert await types(place, stream) == ["recording.started", "recording.ready", "recording.deleted"]
    assert (await all_events_of(place.store, stream))[-1].reason == "retention"
