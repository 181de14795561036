"""A session whose writer was killed is gone on with by another, from its files or from its checkpoint."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from config.session import Checkpoint
from packager.playlists import date_time_text, media_playlist
from packager.publication import GoingOn, Part, Publication
from packager.samples import Track
from packager.session_lock import SessionBusy
from packager.written import read_written
from tests.packager.helpers import (
    EDGE_ID,
    SESSION_ID,
    UNIX_S,
    Writer,
    audio_track,
    new_publication,
    replay,
    video_track,
)


def kill(publication: Publication) -> None:
    """What is left of a publication when its process is gone: only its files."""
    os.close(publication._directory_lock)


def go_on(media_dir: Path, *tracks: Track) -> tuple[Publication, list[GoingOn | None]]:
    publication = new_publication(media_dir)
    assert publication.goes_on_with(tracks)
    return publication, [publication.add_rendition(track) for track in tracks]


@pytest.mark.parametrize("parts", [0, 1, 3, 4, 5, 9, 42])
def test_the_next_part_follows_the_last_in_the_same_segment(tmp_path: Path, parts: int) -> None:
    writer = Writer(tmp_path)
    writer.parts(parts)
    kill(writer.publication)
    publication, found = go_on(tmp_path, *writer.tracks)
    msn, index = divmod(parts, 4)
    for going_on in found:
        if not parts:
            assert going_on is None
            continue
        assert going_on is not None
        assert going_on.msn == msn and going_on.start_s == pytest.approx(parts * 0.5)
        assert [part.data for part in going_on.parts] == [f"msn {msn} part {n};".encode() for n in range(index)]
    writer.publication = publication
    writer.segments(2)
    presentation = replay(writer.directory / "journal.jsonl")
    for name, rendition in presentation.renditions.items():
        numbers = [segment.msn for segment in rendition.segments]
        assert numbers == list(range(numbers[0], numbers[-1] + 1)) and rendition.next_part == divmod(parts + 8, 4)
        assert not any(segment.discontinuity or segment.gap for segment in rendition.segments)
        whole = f"msn {msn} part 0;msn {msn} part 1;msn {msn} part 2;msn {msn} part 3;"
        assert (writer.directory / name / f"{msn}.m4s").read_text() == whole
        assert [path.name for path in (writer.directory / name).glob("init*")] == ["init-0.mp4"]


def test_a_line_that_its_writer_was_killed_at_is_cut_off(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.parts(2)
    kill(writer.publication)
    journal = writer.directory / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"type":"part","rendition":"72')
    writer.publication, _ = go_on(tmp_path, *writer.tracks)
    writer.parts(1)
    assert {rendition.next_part for rendition in replay(journal).renditions.values()} == {(0, 3)}


def test_files_of_a_segment_are_removed_by_whoever_comes_later(tmp_path: Path) -> None:
    writer = Writer(tmp_path, window_s=4)
    for _ in range(6):
        writer.parts(23)
        kill(writer.publication)
        writer.publication, _ = go_on(tmp_path, *writer.tracks)
    names = {path.name for path in (writer.directory / "720p").glob("*.m4s")}
    assert len([name for name in names if name.count(".") == 1]) < 20
    assert len([name for name in names if name.count(".") == 2]) < 40


def test_another_decoder_configuration_follows_a_discontinuity(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.parts(6)
    kill(writer.publication)
    publication = new_publication(tmp_path)
    video = replace(video_track(), decoder_config=bytes.fromhex("0164002affe1000467640000010000"))
    assert not publication.goes_on_with([video, audio_track()])
    publication.break_off()
    assert publication.next_msn == 2
    for track in (video, audio_track()):
        assert publication.add_rendition(track) is None
        publication.open_segment(track.name, 2, 4.0, publication.breaks)
        publication.finish_segment(track.name, [Part(b"new", 2.0, True)])
    for rendition in replay(writer.directory / "journal.jsonl").renditions.values():
        assert [(segment.msn, segment.duration_s, segment.discontinuity) for segment in rendition.segments] == [
            (0, 2.0, False),
            (1, 1.0, False),
            (2, 2.0, True),
        ]
        assert [segment.init for segment in rendition.segments] == ["init-0.mp4", "init-0.mp4", "init-1.mp4"]


def test_a_session_has_one_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packager.session_lock._WAIT_S", 0.01)
    writer = Writer(tmp_path)
    with pytest.raises(SessionBusy):
        new_publication(tmp_path)
    writer.publication.end(final=False)
    new_publication(tmp_path)


# What the other node had last, and what it may have had after that, are gaps: players find where they were by them.
@pytest.mark.parametrize(
    ("lost_take_time", "gaps"),
    [
        pytest.param(
            True, [(2, 4_000, "1.99999"), (3, 6_000, "1.99999"), (4, 8_000, "1.99999")], id="gaps as long as that took"
        ),
        pytest.param(
            False, [(2, 4_000, "1.99999"), (3, 6_000, "0.00099"), (4, 9_999, "0.00099")], id="gaps of no time"
        ),
    ],
)
def test_a_checkpoint_is_enough_on_another_node(
    tmp_path: Path, lost_take_time: bool, gaps: list[tuple[int, int, str]]
) -> None:
    checkpoints: list[Checkpoint] = []
    writer = Writer(tmp_path / "a")
    writer.publication.on_checkpoint = checkpoints.append
    writer.segments(3)
    assert [checkpoint.next_msn for checkpoint in checkpoints] == [1, 2, 3]
    after = checkpoints[-1]
    assert after.media_s == pytest.approx(6.0) and (after.discontinuities, after.inits) == (0, 1)
    assert (after.complete_msn, after.complete_s) == (2, 2.0)
    publication = Publication(
        tmp_path / "b",
        edge_id=EDGE_ID,
        session_id=SESSION_ID,
        low_latency=True,
        window_s=12,
        part_target_s=0.5,
        target_duration_s=2,
        wall_time_s=lambda media_s: UNIX_S + media_s,
        after=after,
        lost_take_time=lost_take_time,
    )
    assert publication.breaks and publication.next_msn == 3
    assert publication.add_rendition(video_track()) is None
    publication.open_segment("720p", 5, 10.0, publication.breaks)
    found = tmp_path / "b" / EDGE_ID / SESSION_ID / "journal.jsonl"
    assert not replay(found).renditions["720p"].has_media, "gaps alone can't be played"
    publication.finish_segment("720p", [Part(b"data", 2.0, True)])
    presentation = replay(found)
    assert presentation.renditions["720p"].has_media
    assert media_playlist(presentation, "720p").splitlines()[5:-1] == [
        "#EXT-X-MEDIA-SEQUENCE:2",
        "#EXT-X-DISCONTINUITY-SEQUENCE:0",
        '#EXT-X-MAP:URI="init-1.mp4"',
        *(
            line
            for msn, at_ms, length_s in gaps
            for line in (f"#EXT-X-PROGRAM-DATE-TIME:{date(at_ms)}", "#EXT-X-GAP", f"#EXTINF:{length_s},", f"{msn}.m4s")
        ),
        "#EXT-X-DISCONTINUITY",
        f"#EXT-X-PROGRAM-DATE-TIME:{date(10_000)}",
        '#EXT-X-PART:DURATION=2,URI="5.0.m4s",INDEPENDENT=YES',
        "#EXTINF:1.99999,",
        "5.m4s",
    ]
    publication.end(final=False)
    written = read_written(found.parent)
    assert written is not None and [segment.msn for segment in written.renditions["720p"].segments] == [5]


def move(media_dir: Path, after: Checkpoint, msns: range) -> list[Checkpoint]:
    """Another node goes on after this checkpoint and publishes these segments of 2 s; its checkpoints."""
    checkpoints: list[Checkpoint] = []
    publication = new_publication(media_dir, after=after, window_s=60)
    publication.on_checkpoint = checkpoints.append
    assert publication.next_msn <= msns[0]
    publication.add_rendition(video_track())
    for msn in msns:
        publication.open_segment("720p", msn, msn * 2.0, publication.breaks and msn == msns[0])
        publication.finish_segment("720p", [Part(b"data", 2.0, True)])
    kill(publication)
    return checkpoints


def test_a_session_that_changes_its_node_and_comes_back_counts_on(tmp_path: Path) -> None:
    checkpoints: list[Checkpoint] = []
    writer = Writer(tmp_path / "a", video_track())
    writer.publication.on_checkpoint = checkpoints.append
    writer.segments(3)
    kill(writer.publication)
    second = move(tmp_path / "b", checkpoints[-1], range(5, 7))
    # What the first stay has left there is hidden by the removal of its journal.
    (writer.directory / "journal.jsonl").unlink()
    third = move(tmp_path / "a", second[-1], range(9, 20))
    assert [(each.next_msn, each.discontinuities, each.inits) for each in (second[-1], third[0])] == [
        (7, 1, 2),
        (10, 2, 3),
    ]
    now = replay(writer.directory / "journal.jsonl")
    assert sorted(path.name for path in (writer.directory / "720p").glob("init*")) == ["init-0.mp4", "init-2.mp4"]
    lines = media_playlist(now, "720p").splitlines()
    begin = lines.index("#EXT-X-MEDIA-SEQUENCE:6")
    # Of the first hole nothing is listed here, but its discontinuity counts.
    assert lines[begin + 1 : begin + 3] == ["#EXT-X-DISCONTINUITY-SEQUENCE:1", '#EXT-X-MAP:URI="init-2.mp4"']
    assert [segment.gap for segment in now.renditions["720p"].segments] == [True] * 3 + [False] * 11
    assert [segment.msn for segment in now.renditions["720p"].segments if segment.discontinuity] == [9]


def test_a_delta_update_over_a_hole_counts_its_gaps(tmp_path: Path) -> None:
    checkpoints: list[Checkpoint] = []
    writer = Writer(tmp_path / "a", video_track())
    writer.publication.on_checkpoint = checkpoints.append
    writer.segments(3)
    journal = tmp_path / "b" / EDGE_ID / SESSION_ID / "journal.jsonl"
    for last, skipped in ((9, 0), (14, 0), (30, 25)):
        shutil.rmtree(tmp_path / "b", ignore_errors=True)
        move(tmp_path / "b", checkpoints[-1], range(5, last + 1))
        now = replay(journal)
        whole, delta = (media_playlist(now, "720p", skip=skip).splitlines() for skip in (False, True))
        if not skipped:
            assert delta == whole, "around a discontinuity"
            continue
        # Gaps and all: 2 to 4 are lost, 5 to 24 end before the boundary of 12 s.
        count = next(int(line.rpartition("=")[2]) for line in delta if line.startswith("#EXT-X-SKIP:"))
        uris = [line for line in whole if line.endswith(".m4s") and not line.startswith("#")]
        assert [line for line in delta if line.endswith(".m4s") and not line.startswith("#")] == uris[count:]
        assert (count, uris[0]) == (skipped - 2, "2.m4s")
        assert "#EXT-X-DISCONTINUITY" not in delta and "#EXT-X-GAP" not in delta


def date(media_ms: int) -> str:
    return date_time_text(round(UNIX_S * 1000) + media_ms)


def test_a_segment_that_is_complete_but_for_the_kill_is_finished_from_its_parts(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.parts(3)
    kill(writer.publication)
    publication = new_publication(tmp_path)
    publication.break_off()
    publication.end()
    written = read_written(writer.directory)
    assert written is not None and written.ended
    assert (writer.directory / "720p" / "0.m4s").read_text() == "msn 0 part 0;msn 0 part 1;msn 0 part 2;"


def test_no_session_and_one_that_is_not_readable(tmp_path: Path) -> None:
    assert read_written(tmp_path) is None
    (tmp_path / "journal.jsonl").write_text("no journal\n")
    with pytest.raises(ValueError, match="Expecting value"):
        read_written(tmp_path)
