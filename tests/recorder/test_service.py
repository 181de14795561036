"""The recorder of a node with a real Redis: states, what is closed late, what is removed."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial

import pytest

from config.session import RECORDED_FILE
from recorder import left, reading
from streams.model import Stream
from streams.recording_model import RecordingState
from streams.state import Event
from tests.recorder.helpers import playlist, stored
from tests.recorder.place import Place, until
from tests.streams.helpers import ENV, NODE, all_events_of, session_of


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


async def test_after_a_power_cut_a_node_closes_at_once_what_nobody_else_can_have_gone_on_with(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left, "OTHERS_FIRST_S", 1000.0)
    stream, epoch, writer = await place.session()
    async with place.recorder(NODE):
        writer.segments(3)
        await place.wait_for(stream, RecordingState.RECORDING, 6.0)
    shutil.rmtree(writer.directory.parent)
    journal = place.directory(stream) / f"{NODE}.jsonl"
    *whole, last = journal.read_bytes().splitlines(keepends=True)
    assert last.startswith(b'["audio",2,')
    journal.write_bytes(b"".join(whole) + last[:20])
    await place.store.apply(stream.stream_id, Event.NODE_LOST, session_id=session_of(stream), epoch=epoch)
    async with place.recorder("node-b"):
        await asyncio.sleep(0.6)
        assert await types(place, stream) == ["recording.started"], "its own node may know more of it"
    async with place.recorder(NODE):
        entry = await place.wait_for(stream, RecordingState.READY, 6.0)
    assert entry.progress.reason == "session_lost"
    assert [gap["duration"] for gap in entry.progress.gaps] == [2.0], "one rendition has less than the other"
    assert playlist(place.directory(stream), "audio")[-4:] == ["#EXT-X-GAP", "#EXTINF:2,", "2.m4s", "#EXT-X-ENDLIST"]


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


async def test_a_closed_one_that_can_not_be_read_is_said(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reading, "_EVERY_S", 0.1)
    stream, _, writer = await place.session()
    async with place.recorder():
        writer.segments(3)
        writer.publication.end()
        recording_id = (await place.wait_for(stream, RecordingState.READY, 6.0)).recording_id
    journal = place.directory(stream) / "node_a.jsonl"
    sound = journal.read_bytes()

    async def says(problem: str) -> bool:
        entry = await place.recordings.find(recording_id)
        assert entry is not None and entry.progress.state is RecordingState.READY
        return entry.problem.startswith(problem) and bool(entry.problem) == bool(problem)

    async with place.recorder():
        for damaged, problem in (
            (sound.replace(b'["720p",1,', b'["720p"\x00\x00,'), "its journal is damaged: not a record"),
            (
                sound[sound.index(b"\n") + 1 :].replace(b'{"type":"rendition"', b'{"type":"over"', 1),
                "its journal is dam",
            ),
            (b"", "its journal is empty"),
            (None, "its journal is gone"),
        ):
            journal.unlink() if damaged is None else journal.write_bytes(damaged)
            await until(partial(says, problem))
            journal.write_bytes(sound)
            await until(partial(says, ""))
    logged = capsys.readouterr().out
    assert logged.count("recording_not_readable") == 4 and recording_id in logged


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
