"""A session that moves between nodes which share neither a directory of recordings nor a store."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial

import pytest

from recorder import left, reading
from streams.model import Stream
from streams.recording_model import RecordingState
from streams.recordings import PutOutcome
from streams.state import Event, EventType
from tests.recorder.helpers import RecordedWriter, playlist
from tests.recorder.place import Place, until
from tests.streams.helpers import NODE, all_events_of, session_of


@pytest.mark.parametrize("was_down", [False, True])
async def test_both_parts_are_closed_and_told(place: Place, monkeypatch: pytest.MonkeyPatch, was_down: bool) -> None:
    monkeypatch.setattr(reading, "_EVERY_S", 0.1)
    other = place.beside("b")
    stream, _, writer = await place.session()
    async with place.recorder("node_a"):
        writer.segments(3)
        await place.wait_for(stream, RecordingState.RECORDING, 6.0)
        if not was_down:
            await end_elsewhere(other, stream, writer)
            await until(partial(_is_closed, place, stream))
    if was_down:
        await end_elsewhere(other, stream, writer)
        assert not await _is_closed(place, stream)
        async with place.recorder("node_a"):
            await until(partial(_is_closed, place, stream))
    assert playlist(place.directory(stream))[-2:] == ["2.m4s", "#EXT-X-ENDLIST"]
    assert playlist(other.directory(stream))[-2:] == ["6.m4s", "#EXT-X-ENDLIST"]

    entry = (await place.recordings.of_stream(stream.stream_id, limit=1)).recordings[0]
    assert (entry.progress.state, entry.progress.reason) == (RecordingState.READY, "")
    assert entry.progress.duration_s == 14.0, "from the first to the last, of whatever node"
    assert [gap["duration"] for gap in entry.progress.gaps] == [4.0]
    assert [(part.node_id, part.duration_s) for part in entry.parts] == [("node_a", 6.0), ("node_b", 4.0)]
    files = [path for each in (place, other) for path in each.directory(stream).glob("*/*") if path.suffix != ".jpg"]
    assert entry.progress.size_bytes == sum(path.stat().st_size for path in files)
    events = [event for event in await all_events_of(place.store, stream) if event.type.value.startswith("recording.")]
    assert [event.type for event in events] == [EventType.RECORDING_STARTED, EventType.RECORDING_READY]
    assert (events[-1].data["duration"], events[-1].data["gaps"]) == (14.0, 1)
    assert events[-1].data["size"] == entry.progress.size_bytes


async def test_the_first_part_plays_where_the_second_was_lost_whole(place: Place) -> None:
    other = place.beside("b")
    stream, _, writer = await place.session()
    async with place.recorder("node_a"):
        writer.segments(3)
        await place.wait_for(stream, RecordingState.RECORDING, 6.0)
    moved = _moved(other, stream)
    moved.segments(2)
    for path in moved.directory.rglob("*.m4s"):
        path.unlink()
    moved.publication.end()
    async with other.recorder("node_b"):
        entry = await place.wait_for(stream, RecordingState.READY, 14.0)
    assert [gap["duration"] for gap in entry.progress.gaps] == [8.0]


async def test_the_node_that_it_left_lets_the_other_close_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left, "OTHERS_FIRST_S", 1000.0)
    other = place.beside("b")
    stream, epoch, writer = await place.session()  # on `NODE`
    async with place.recorder("node_a"):
        writer.segments(3)
        await place.wait_for(stream, RecordingState.RECORDING, 6.0)
        shutil.rmtree(writer.directory)
        await place.store.apply(stream.stream_id, Event.NODE_LOST, session_id=session_of(stream), epoch=epoch)
        await asyncio.sleep(1.0)  # it looks ten times, and sees that the session is over
        async with other.recorder(NODE):
            moved = _moved(other, stream)
            moved.segments(2)
            moved.publication.end()
            entry = await place.wait_for(stream, RecordingState.READY, 14.0)
    assert entry.progress.reason == ""


async def test_who_comes_back_has_parts_around_that_of_the_other(place: Place) -> None:
    other = place.beside("b")
    stream, _, writer = await place.session()
    async with place.recorder("node_a"):
        writer.segments(2)
        await place.wait_for(stream, RecordingState.RECORDING, 4.0)
        moved = _moved(other, stream, msn=2)
        async with other.recorder("node_b"):
            moved.segments(2)
            await place.wait_for(stream, RecordingState.RECORDING, 8.0)
        writer.msn = 4
        writer.segments(1)
        writer.publication.end()
        entry = await place.wait_for(stream, RecordingState.READY, 10.0)
    assert entry.progress.gaps == () and [part.node_id for part in entry.parts] == ["node_a", "node_b"]


async def test_a_word_that_comes_late_takes_nothing_back(place: Place) -> None:
    """Where nodes share the directory: the one that took over has read what the other had recorded."""
    stream, _, writer = await place.session()
    async with place.recorder("node_a"):
        writer.segments(2)
        before = await place.wait_for(stream, RecordingState.RECORDING, 4.0)
    shutil.rmtree(writer.directory)
    moved = _moved(place, stream, msn=2)
    async with place.recorder("node_b"):
        moved.segments(2)
        after = await place.wait_for(stream, RecordingState.RECORDING, 8.0)
        outcome = await place.recordings.put(
            before.recording_id,
            stream_id=stream.stream_id,
            session_id=before.session_id,
            progress=before.progress,
            node_id="node_a",
        )
        assert outcome is PutOutcome.OK and await place.recordings.find(before.recording_id) == after
    assert after.parts == () and after.progress.nodes == {"node_a", "node_b"}


def _moved(place: Place, stream: Stream, msn: int = 5) -> RecordedWriter:
    return RecordedWriter(
        place.settings.effective_media_dir, first_msn=msn, edge_id=stream.edge_id, session_id=session_of(stream)
    )


async def end_elsewhere(place: Place, stream: Stream, writer: RecordedWriter) -> None:
    """The session goes on on another node after a hole, and ends there."""
    shutil.rmtree(writer.directory)
    async with place.recorder("node_b"):
        moved = _moved(place, stream)
        moved.segments(2)
        moved.publication.end()
        await place.wait_for(stream, RecordingState.READY, 14.0)


async def _is_closed(place: Place, stream: Stream) -> bool:
    return playlist(place.directory(stream))[-1] == "#EXT-X-ENDLIST"
