"""Disks that are full from the start of a session, or at its end: what is missing is said, nothing waits for ever."""

from __future__ import annotations

import pytest

from config.session import RECORDED_FILE
from packager.recordings.recording import read_recording
from packager.recordings.summary import Summary
from packager.recordings.timeline import Gap
from recorder import recorder
from recorder.session import RecordedSession
from recorder.storing import Disk
from recorder.tally import Tally
from recorder.teller import RedisTeller
from streams.model import Stream
from streams.recording_model import RecordingEntry, RecordingState
from streams.recordings import RecordingBusy
from streams.state import Event
from tests.recorder.helpers import SEGMENT_S, RecordedWriter, fill, playlist, stored, unix_ms
from tests.recorder.place import Place, until
from tests.streams.helpers import ENV, all_events_of, session_of


def kept_from(writer: RecordedWriter) -> int:
    """The oldest segment that can still be had."""
    return min(int(path.stem) for path in writer.directory.glob("720p/*.m4s") if path.stem.isdigit())


def test_one_that_is_full_from_the_start_leaves_a_gap_that_is_said_at_once(
    writer: RecordedWriter, small_disk: Disk
) -> None:
    ballast = fill(small_disk.recordings_dir)
    session = RecordedSession(writer.directory, small_disk, "node_a")
    writer.segments(1)
    session.step()
    assert session.problem == "No space left on device" and session.has_published and session.summary.gaps == []
    for _ in range(60):
        writer.segments(1)
        session.step()
    gap = Gap(start_ms=unix_ms(0), duration_s=kept_from(writer) * SEGMENT_S, reason="not_recorded")
    assert session.summary.gaps == [gap] and session.summary.started_ms == unix_ms(0)
    ballast.unlink()
    writer.publication.end()
    session.step()
    assert session.problem == "" and session.summary.gaps == [gap]
    assert session.finish().duration_s == 122.0
    again = Summary.of(read_recording(session.directory))
    assert (again.gaps, again.duration_s, again.started_ms) == ([gap], 122.0, unix_ms(0))
    assert playlist(session.directory).count("#EXT-X-GAP") == kept_from(writer)


def test_what_waits_for_a_disk_is_bounded(writer: RecordedWriter, small_disk: Disk) -> None:
    ballast, tally = fill(small_disk.recordings_dir), Tally()
    session = RecordedSession(writer.directory, small_disk, "node_a", tally)
    waiting = []
    for _ in range(300):
        writer.segments(1)
        session.step()
        waiting.append(len(session._published.waiting))
    assert max(waiting) < 100
    session.give_up()
    gap = Gap(start_ms=unix_ms(0), duration_s=600.0, reason="not_recorded")
    assert session.summary.gaps == [gap]
    assert not session.summary.has_media and session.lost_to == "disk_full"
    ballast.unlink()
    assert session.finish().gaps == [gap] and tally.missed == 600


async def types(place: Place, stream: Stream) -> list[str]:
    events = await all_events_of(place.store, stream)
    return [event.type.value for event in events if event.type.value.startswith("recording.")]


async def wait_for_problem(place: Place, stream: Stream, problem: str) -> RecordingEntry:
    found: list[RecordingEntry] = []

    async def is_said() -> bool:
        found[:] = (await place.recordings.of_stream(stream.stream_id, limit=1)).recordings
        return bool(found) and problem in found[0].problem

    await until(is_said)
    return found[0]


@pytest.mark.parametrize("is_truly_full", [False, True])
async def test_a_recording_of_which_nothing_could_be_stored_has_failed(
    place: Place, monkeypatch: pytest.MonkeyPatch, small_disk: Disk, is_truly_full: bool
) -> None:
    if is_truly_full:
        ballast = fill(small_disk.recordings_dir)
        place.settings = place.settings.model_copy(update={"recordings_dir": small_disk.recordings_dir})
    else:
        place.settings = place.settings.model_copy(update={"recording_reserve_mb": 1 << 40})
    stream, epoch, writer = await place.session()
    writer.segments(40)
    async with place.recorder():
        entry = await wait_for_problem(place, stream, "No space left" if is_truly_full else "would stay free")
        assert entry.progress.state is RecordingState.RECORDING
        (gap,) = entry.progress.gaps
        assert gap["duration"] == kept_from(writer) * SEGMENT_S and gap["reason"] == "not_recorded"
        with pytest.raises(RecordingBusy):
            await place.recordings.delete(entry.recording_id, stream_id=stream.stream_id, env=ENV, reason="api")
        monkeypatch.setattr(recorder, "GIVE_UP_S", 0.0)
        writer.publication.end()
        await place.store.apply(stream.stream_id, Event.ENDED_BY_API, session_id=session_of(stream), epoch=epoch)
        entry = await place.wait_for(stream, RecordingState.FAILED, 80.0)
        assert entry.progress.reason == "disk_full"
        assert [gap["duration"] for gap in entry.progress.gaps] == [80.0]
        assert (writer.directory / RECORDED_FILE).read_text() == "over", "its media may go"
        if is_truly_full:
            ballast.unlink()

        async def is_closed() -> bool:
            directory = place.directory(stream)
            return bool(list(directory.glob("*.jsonl"))) and read_recording(directory).is_over

        await until(is_closed)
        assert Summary.of(read_recording(place.directory(stream))).duration_s == 80.0
    assert await types(place, stream) == ["recording.started", "recording.failed"]


async def test_one_that_is_full_at_the_end_ends_the_recording_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch, small_disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    place.settings = place.settings.model_copy(update={"recordings_dir": small_disk.recordings_dir})
    monkeypatch.setattr(recorder, "GIVE_UP_S", 1.0)
    stream, epoch, writer = await place.session()
    async with place.recorder():
        writer.segments(2)
        await place.wait_for(stream, RecordingState.RECORDING, 4.0)
        fill(small_disk.recordings_dir)
        writer.segments(30)
        writer.publication.end()
        await place.store.apply(stream.stream_id, Event.ENDED_BY_API, session_id=session_of(stream), epoch=epoch)
        entry = await place.wait_for(stream, RecordingState.READY, 64.0)
        assert entry.progress.reason == "disk_full" and [gap["duration"] for gap in entry.progress.gaps] == [60.0]
        assert list(stored(place.directory(stream))) == ["0.m4s", "1.m4s"]
        await place.recordings.delete(entry.recording_id, stream_id=stream.stream_id, env=ENV, reason="api")

        async def gone() -> bool:
            return not place.directory(stream).exists()

        await until(gone)
    assert await types(place, stream) == ["recording.started", "recording.ready", "recording.deleted"]
    assert capsys.readouterr().out.count("recording_stalled") == 1, "what lasts is said once"


async def test_it_can_be_deleted_as_soon_as_its_session_is_over(place: Place, small_disk: Disk) -> None:
    place.settings = place.settings.model_copy(update={"recordings_dir": small_disk.recordings_dir})
    fill(small_disk.recordings_dir)
    stream, epoch, writer = await place.session()
    writer.segments(3)
    async with place.recorder():
        entry = await wait_for_problem(place, stream, "No space left")
        writer.publication.end()
        await place.store.apply(stream.stream_id, Event.ENDED_BY_API, session_id=session_of(stream), epoch=epoch)
        await place.recordings.delete(entry.recording_id, stream_id=stream.stream_id, env=ENV, reason="api")

        async def gone() -> bool:
            return (writer.directory / RECORDED_FILE).exists() and not place.directory(stream).exists()

        await until(gone)
    assert await place.recordings.open_ids() == []
    assert await types(place, stream) == ["recording.started", "recording.deleted"]


async def test_one_that_is_ready_no_longer_says_what_kept_it_from_being_stored(
    place: Place, monkeypatch: pytest.MonkeyPatch, small_disk: Disk
) -> None:
    place.settings = place.settings.model_copy(update={"recordings_dir": small_disk.recordings_dir})
    ballast = fill(small_disk.recordings_dir)
    stream, epoch, writer = await place.session()
    writer.segments(3)
    async with place.recorder():
        await wait_for_problem(place, stream, "No space left")

        async def not_now(*_: object) -> None:
            """What is told every two seconds comes later."""

        monkeypatch.setattr(RedisTeller, "_tell_storage", not_now)
        ballast.unlink()
        writer.publication.end()
        await place.store.apply(stream.stream_id, Event.ENDED_BY_API, session_id=session_of(stream), epoch=epoch)
        entry = await place.wait_for(stream, RecordingState.READY, 6.0)
        assert entry.problem == "" and not entry.progress.gaps
