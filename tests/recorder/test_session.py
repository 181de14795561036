"""A session's recording: what is published is stored, and what could not be is said."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from config.session import Checkpoint
from packager.journal import FILE_NAME
from packager.recordings.playlists import recording_multivariant, recording_playlist
from packager.recordings.recording import read_recording
from packager.recordings.summary import Summary
from packager.recordings.timeline import Gap
from recorder.session import RecordedSession
from recorder.storing import Disk
from tests.packager.helpers import new_publication
from tests.recorder.helpers import SEGMENT_S, RecordedWriter, content, fill, playlist, stored, unix_ms


def lines(*msns: int, end: bool = True) -> list[str]:
    """A playlist of these segments, without a gap."""
    segments = [line for msn in msns for line in ("#EXTINF:2,", f"{msn}.m4s")]
    return ['#EXT-X-MAP:URI="init-0.mp4"', *segments, *(["#EXT-X-ENDLIST"] if end else [])]


def test_it_grows_as_an_event_and_is_closed_as_vod(writer: RecordedWriter, session: RecordedSession) -> None:
    writer.segments(2)
    assert session.step() == 4 and session.is_complete
    text = recording_playlist(read_recording(session.directory), "720p")
    assert text == (
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n"
        '#EXT-X-MAP:URI="init-0.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z\n#EXTINF:2,\n0.m4s\n"
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22.000Z\n#EXTINF:2,\n1.m4s\n"
    )
    for _ in range(3):  # by and by they leave the live playlist, not the disk
        writer.segments(10)
        session.step()
    writer.publication.end()
    session.step()
    assert session.has_ended
    summary = session.finish()
    assert (summary.duration_s, summary.gaps, summary.started_ms) == (64.0, [], unix_ms(0))
    closed = recording_playlist(read_recording(session.directory), "720p")
    assert closed.startswith(text.replace("EVENT", "VOD")) and closed.endswith("31.m4s\n#EXT-X-ENDLIST\n")
    for name in ("720p", "audio"):
        assert stored(session.directory, name) == {f"{msn}.m4s": content(name, msn) for msn in range(32)}
    master = recording_multivariant(read_recording(session.directory))
    assert 'URI="audio/media.m3u8"' in master and master.endswith("\n720p/media.m3u8\n")


def test_what_is_not_to_be_recorded_is_not(tmp_path: Path, disk: Disk) -> None:
    writer = RecordedWriter(tmp_path / "media", new_publication(tmp_path / "media"))
    writer.segments(1)
    session = RecordedSession(writer.directory, disk, "node_a")
    assert session.step() == 0 and session.is_known and not session.is_recorded and not disk.recordings_dir.exists()


def test_a_recorder_that_was_killed_goes_on_where_it_was(writer: RecordedWriter, disk: Disk) -> None:
    writer.segments(1)
    for _ in range(3):  # each is left as if killed: nothing is closed
        session = RecordedSession(writer.directory, disk, "node_a")
        session.step()
        writer.segments(2)
    session.step()
    assert playlist(session.directory) == lines(*range(7), end=False)
    assert session.summary.gaps == [] and session.summary.duration_s == 14.0


def test_a_recorder_that_was_away_for_too_long_says_what_is_missing(writer: RecordedWriter, disk: Disk) -> None:
    writer.segments(2)
    RecordedSession(writer.directory, disk, "node_a").step()
    writer.segments(40)
    session = RecordedSession(writer.directory, disk, "node_a")
    session.step()
    kept = min(int(path.stem) for path in writer.directory.glob("720p/*.m4s") if path.stem.isdigit())
    missing = [line for msn in range(2, kept) for line in ("#EXT-X-GAP", "#EXTINF:2,", f"{msn}.m4s")]
    found = playlist(session.directory)
    assert found == [*lines(0, 1, end=False), *missing, *lines(*range(kept, 42), end=False)[1:]]
    gap = Gap(start_ms=unix_ms(2), duration_s=(kept - 2) * SEGMENT_S, reason="not_recorded")
    assert session.summary.gaps == [gap] and session.summary.duration_s == 84.0


def test_a_recorder_that_comes_late_says_that_the_beginning_is_missing(writer: RecordedWriter, disk: Disk) -> None:
    writer.segments(40)
    session = RecordedSession(writer.directory, disk, "node_a")
    session.step()
    first = min(int(name.removesuffix(".m4s")) for name in stored(session.directory))
    assert first > 0
    assert session.summary.gaps == [Gap(start_ms=unix_ms(0), duration_s=first * SEGMENT_S, reason="not_recorded")]


def test_a_full_disk_loses_nothing_when_there_is_room_again_in_time(writer: RecordedWriter, small_disk: Disk) -> None:
    ballast = small_disk.recordings_dir / "ballast"
    ballast.write_bytes(bytes(200_000))
    session = RecordedSession(writer.directory, small_disk, "node_a")
    writer.segments(10)
    session.step()
    assert "would stay free" in session.problem and not session.is_complete
    before = playlist(session.directory)
    assert before == lines(*range(len(stored(session.directory))), end=False), "what was stored before plays"
    session.step()
    assert playlist(session.directory) == before
    ballast.unlink()
    writer.publication.end()
    session.step()
    assert not session.problem and session.finish().gaps == []
    assert playlist(session.directory) == lines(*range(min(10, writer.msn)))


def test_a_disk_that_stays_full_is_a_gap(writer: RecordedWriter, small_disk: Disk) -> None:
    session = RecordedSession(writer.directory, small_disk, "node_a")
    writer.segments(2)
    session.step()
    ballast = fill(small_disk.recordings_dir)
    for _ in range(40):
        writer.segments(1)
        session.step()
    assert session.problem
    assert playlist(session.directory)[:5] == lines(0, 1, end=False)
    assert list(stored(session.directory)) == ["0.m4s", "1.m4s"]
    ballast.unlink()
    writer.publication.end()
    session.step()
    summary = session.finish()
    kept = min(int(path.stem) for path in writer.directory.glob("720p/*.m4s") if path.stem.isdigit())
    assert summary.gaps == [
        Gap(start_ms=unix_ms(2), duration_s=(kept - 2) * SEGMENT_S, reason="not_recorded")
    ]  # fmt: skip
    assert summary.duration_s == 84.0


def test_a_reserve_stays_free(writer: RecordedWriter, tmp_path: Path) -> None:
    disk = Disk(tmp_path, reserve_bytes=1 << 60)
    session = RecordedSession(writer.directory, disk, "node_a")
    writer.segments(1)
    session.step()
    assert session.problem and stored(session.directory) == {}
    writer.segments(60)
    writer.publication.end()
    for name in ("720p", "audio"):
        for path in writer.directory.glob(f"{name}/*.m4s"):
            path.unlink()
        (writer.directory / name / "init-0.mp4").unlink()
    session.step()
    # There is room in the reserve for the truth.
    summary = session.finish()
    assert not summary.has_media and summary.gaps[0].duration_s == 122.0


@pytest.mark.parametrize("damage", ["truncated", "garbage", "gone", "empty"])
def test_after_a_power_cut_all_before_the_damage_plays(
    writer: RecordedWriter, session: RecordedSession, disk: Disk, damage: str
) -> None:
    writer.segments(5)
    session.step()
    tail = session.directory / "720p/4.m4s"
    if damage == "truncated":
        tail.write_bytes(tail.read_bytes()[:500])
    elif damage == "garbage":
        tail.write_bytes(bytes(1000))
    elif damage == "gone":
        tail.unlink()
    else:
        tail.write_bytes(b"")
    journal = session.directory / "node_a.jsonl"
    journal.write_bytes(journal.read_bytes() + b'["720p",5,10.0,2' + bytes(300))
    # The memory that the live session was in is gone with the power.
    (writer.directory / "720p/4.m4s").unlink()
    again = RecordedSession(writer.directory, disk, "node_a")
    again.step()
    assert playlist(again.directory) == [*lines(0, 1, 2, 3, end=False), "#EXT-X-GAP", "#EXTINF:2,", "4.m4s"]
    assert playlist(again.directory, "audio") == lines(*range(5), end=False)
    assert again.summary.gaps == [Gap(start_ms=unix_ms(4), duration_s=2.0, reason="not_recorded")]
    writer.segments(1)
    again.step()
    assert playlist(again.directory)[-2:] == ["#EXTINF:2,", "5.m4s"]


def test_what_is_damaged_is_stored_again_while_it_is_still_to_be_had(
    writer: RecordedWriter, session: RecordedSession, disk: Disk
) -> None:
    writer.segments(5)
    session.step()
    (session.directory / "720p/3.m4s").write_bytes(b"half")
    again = RecordedSession(writer.directory, disk, "node_a")
    again.step()
    assert playlist(again.directory) == lines(*range(5), end=False)
    assert stored(again.directory)["3.m4s"] == content("720p", 3)
    assert again.summary.gaps == [] and again.summary.duration_s == 10.0


@pytest.mark.parametrize("other_node", ["node_0", "node_b"])  # before and after the first one, when sorted by name
def test_a_session_that_moves_between_nodes_is_one_recording(
    writer: RecordedWriter, session: RecordedSession, disk: Disk, tmp_path: Path, other_node: str
) -> None:
    checkpoints: list[Checkpoint] = []
    writer.publication.on_checkpoint = checkpoints.append
    writer.segments(3)
    session.step()
    writer.segments(2)
    # Its last words are read, though ingest has hidden the session before the recorder looked again.
    (writer.directory / FILE_NAME).unlink()
    session.step()
    session.step()
    assert session.is_gone and not session.has_news
    other = RecordedWriter(
        tmp_path / "other",
        new_publication(tmp_path / "other", recording=True, after=checkpoints[-1]),
        first_msn=8,
    )
    there = RecordedSession(other.directory, disk, other_node)
    other.segments(1, discontinuity=True)
    other.segments(2)
    other.publication.end()
    there.step()
    summary = there.finish()
    assert sorted(path.name for path in there.directory.glob("*.jsonl")) == sorted(
        ["node_a.jsonl", f"{other_node}.jsonl"]
    )
    found = playlist(there.directory)
    assert found[:11] == lines(*range(5), end=False)
    assert found[11:] == [
        *(
            "#EXT-X-GAP",
            "#EXTINF:2,",
            "5.m4s",
            "#EXT-X-GAP",
            "#EXTINF:2,",
            "6.m4s",
            "#EXT-X-GAP",
            "#EXTINF:2,",
            "7.m4s",
        ),
        *("#EXT-X-DISCONTINUITY", '#EXT-X-MAP:URI="init-1.mp4"'),
        *("#EXTINF:2,", "8.m4s", "#EXTINF:2,", "9.m4s", "#EXTINF:2,", "10.m4s", "#EXT-X-ENDLIST"),
    ]
    assert summary.gaps == [Gap(start_ms=unix_ms(5), duration_s=6.0, reason="not_recorded")]
    assert summary.duration_s == Summary.of(read_recording(there.directory)).duration_s == 22.0


def test_a_store_that_is_away_for_ten_minutes_is_a_gap_and_nothing_else(
    writer: RecordedWriter, session: RecordedSession, disk: Disk
) -> None:
    writer.segments(2)
    session.step()
    away = disk.recordings_dir.with_name("away")
    disk.recordings_dir.rename(away)
    for _ in range(300):  # of two seconds each
        writer.segments(1)
        session.step()
    assert session.problem == "No such file or directory" and not disk.recordings_dir.exists()
    away.rename(disk.recordings_dir)
    writer.publication.end()
    session.step()
    summary = session.finish()
    first = min(msn for msn in (int(name.removesuffix(".m4s")) for name in stored(session.directory)) if msn > 1)
    assert first > 250, "all that was still to be had is stored"
    assert summary.gaps == [Gap(start_ms=unix_ms(2), duration_s=(first - 2) * SEGMENT_S, reason="not_recorded")]
    assert summary.duration_s == 604.0 and playlist(session.directory)[-3:] == [
        "#EXTINF:2,",
        "301.m4s",
        "#EXT-X-ENDLIST",
    ]


def test_steps_of_two_threads_follow_each_other(writer: RecordedWriter, session: RecordedSession) -> None:
    """A recorder that is stopped takes a last look while a step of its is still on its way."""
    for _ in range(20):
        writer.segments(3)
        threads = [threading.Thread(target=session.step) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert playlist(session.directory) == lines(*range(60), end=False)
    assert session.summary.duration_s == 120.0
    journal = (session.directory / "node_a.jsonl").read_bytes().splitlines()
    assert len(journal) == len(set(journal)) == 1 + 2 + 2 + 2 * 60
