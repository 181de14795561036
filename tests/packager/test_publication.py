"""What is on disk, and when the journal says so."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from packager.cuts import FollowedCuts, PlannedCuts, SourceCuts
from packager.journal import JournalWriter
from packager.multivariant import multivariant_playlist
from packager.playlists import media_playlist
from packager.publication import Part, Publication
from packager.records import OpenRecord, PartRecord, Record, RenditionRecord, SegmentRecord
from packager.samples import Track
from packager.segmenter import RenditionSegmenter
from tests.packager.helpers import (
    AVCC,
    EDGE_ID,
    SESSION_ID,
    UNIX_S,
    Writer,
    audio_track,
    new_publication,
    replay,
    sample,
    video_track,
)

HIGH_AVCC = bytes.fromhex("0164002affe1000467640000010000")


def journal(media_dir: Path) -> Path:
    return media_dir / EDGE_ID / SESSION_ID / "journal.jsonl"


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_files_exist_whole_before_the_journal_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[Path] = []
    append = JournalWriter.append

    def checked(writer: JournalWriter, *records: Record) -> None:
        directory = journal(tmp_path).parent
        for record in records:
            if isinstance(record, RenditionRecord):
                named.append(directory / record.name / "init-0.mp4")
            elif isinstance(record, PartRecord):
                named.append(directory / record.rendition / f"{record.msn}.{record.part}.m4s")
            elif isinstance(record, SegmentRecord):
                named.append(directory / record.rendition / f"{record.msn}.m4s")
        assert all(path.stat().st_size > 0 for path in named)
        append(writer, *records)

    monkeypatch.setattr(JournalWriter, "append", checked)
    Writer(tmp_path).segments(2)
    assert len(named) == 2 * (1 + 2 * 5)
    assert names(journal(tmp_path).parent / "audio") == {path.name for path in named}, "no temporary file stays"


def test_a_segment_holds_what_its_parts_hold(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.segments(1)
    directory = writer.directory / "720p"
    parts = b"".join((directory / f"0.{part}.m4s").read_bytes() for part in range(4))
    assert (directory / "0.m4s").read_bytes() == parts


def test_the_last_part_and_its_segment_are_named_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appended: list[list[str]] = []
    append = JournalWriter.append

    def noted(writer: JournalWriter, *records: Record) -> None:
        appended.append([record.type for record in records])
        append(writer, *records)

    monkeypatch.setattr(JournalWriter, "append", noted)
    Writer(tmp_path, video_track()).segments(1)
    assert appended[-1] == ["part", "segment"]


@pytest.mark.parametrize("low_latency", [True, False])
def test_nothing_listed_is_ever_missing_and_old_files_are_unlinked(tmp_path: Path, low_latency: bool) -> None:
    writer = Writer(tmp_path, low_latency=low_latency)
    for _ in range(60):
        writer.parts(2)
        for name in ("720p", "audio"):
            text = media_playlist(replay(journal(tmp_path)), name)
            listed = re.findall(r'^(?:#EXT-X-(?:PART|MAP):.*URI="([^"]+)".*|([^#].*))$', text, re.MULTILINE)
            missing = [a or b for a, b in listed if not (writer.directory / name / (a or b)).is_file()]
            assert not missing
    files = names(writer.directory / "720p")
    segments = sorted(int(name[:-4]) for name in files if name.count(".") == 1 and name.endswith("m4s"))
    # The window of 12 s once in the playlist, once after it, and one segment.
    assert segments == list(range(30 - 14, 30))
    part_msns = {int(name.split(".")[0]) for name in files if name.count(".") == 2}
    assert part_msns == (set(range(30 - 8, 30)) if low_latency else set())


def test_parts_stay_for_three_target_durations_after_they_left_the_playlist(tmp_path: Path) -> None:
    """A target duration of several segments, as passthrough has it."""
    publication = new_publication(tmp_path, target_duration_s=6, window_s=60)
    cuts = PlannedCuts([Fraction(n, 2) for n in range(4)], Fraction(2), 2, Fraction(0))
    segmenter = RenditionSegmenter(publication, video_track(timescale_hz=2), cuts)
    directory = journal(tmp_path).parent / "720p"
    delisted: dict[str, int] = {}
    last_seen: set[str] = set()
    for tick in range(30 * 4):
        segmenter.add(sample(tick, 1, keyframe=tick % 4 == 0))
        text = media_playlist(replay(journal(tmp_path)), "720p")
        listed = set(re.findall(r'#EXT-X-PART:.*URI="([^"]+)"', text))
        delisted |= dict.fromkeys(last_seen - listed, tick)
        last_seen = listed
        for name, since in delisted.items():
            assert (directory / name).is_file() or tick - since > 3 * 6 * 2
    assert delisted


def test_a_classic_session_writes_no_part_files(tmp_path: Path) -> None:
    writer = Writer(tmp_path, low_latency=False)
    writer.segments(2)
    assert names(writer.directory / "720p") == {"init-0.mp4", "0.m4s", "1.m4s"}
    assert b'"part"' not in journal(tmp_path).read_bytes()


def test_everything_published_is_heard_of(tmp_path: Path) -> None:
    heard: list[str] = []
    writer = Writer(tmp_path)
    writer.publication.on_published = heard.append
    writer.parts(1)
    assert heard == ["720p", "audio"]
    writer.parts(3)
    assert heard == ["720p", "audio"] * 4


def test_viewers_get_the_session_that_was_made_current_last(tmp_path: Path) -> None:
    writer = Writer(tmp_path, live=False)
    assert not (tmp_path / EDGE_ID / "current").exists()
    writer.publication.make_current()
    assert (tmp_path / EDGE_ID / "current").read_text() == SESSION_ID


def test_program_date_times_are_as_far_apart_as_media_times_in_every_rendition(tmp_path: Path) -> None:
    publication = new_publication(tmp_path)
    tracks: list[tuple[Track, int]] = [(video_track(), 3000), (audio_track(), 1024)]
    for track, duration in tracks:
        cuts = PlannedCuts([Fraction(0), Fraction(1)], Fraction(2), track.timescale_hz, Fraction(0))
        segmenter = RenditionSegmenter(publication, track, cuts)
        for n in range(10 * track.timescale_hz // duration):
            segmenter.add(sample(n * duration, duration, keyframe=True))
        segmenter.flush()
    for rendition in replay(journal(tmp_path)).renditions.values():
        media_s = 0.0
        assert len(rendition.segments) == 5
        for segment in rendition.segments:
            late_s = segment.program_date_time_ms / 1000 - UNIX_S - media_s
            assert -0.001 < late_s < 1e-5
            media_s += segment.duration_s


class Passthrough:
    """A source of one keyframe per second whose audio follows its video."""

    def __init__(self, media_dir: Path, publication: Publication | None = None) -> None:
        self.publication = publication or new_publication(media_dir, window_s=12)
        leader = SourceCuts(2.0, 0.5, 6, 10)
        self.video = RenditionSegmenter(self.publication, video_track(timescale_hz=10), leader)
        self.audio = RenditionSegmenter(self.publication, audio_track(sample_rate_hz=10), FollowedCuts(leader, 10))
        self.tick = 0

    def run(self, seconds: int, *, audio: bool = True) -> None:
        for _ in range(seconds * 10):
            self.video.add(sample(self.tick, 1, keyframe=self.tick % 10 == 0))
            if audio:
                self.audio.add(sample(self.tick, 1, keyframe=True))
            self.tick += 1


def test_a_changed_track_starts_a_new_map_after_a_discontinuity_in_every_rendition(tmp_path: Path) -> None:
    live = Passthrough(tmp_path)
    live.run(3)
    live.video.change_track(video_track(timescale_hz=10, decoder_config=HIGH_AVCC))
    live.run(6)
    presentation = replay(journal(tmp_path))
    video, audio = (media_playlist(presentation, name).splitlines() for name in ("720p", "audio"))
    at = video.index("#EXT-X-DISCONTINUITY")
    assert video[at + 1] == '#EXT-X-MAP:URI="init-1.mp4"'
    assert video[at - 1] == "1.m4s"
    assert [line for line in video if line.startswith("#EXT-X-MAP")] == [
        '#EXT-X-MAP:URI="init-0.mp4"', '#EXT-X-MAP:URI="init-1.mp4"',
    ]  # fmt: skip
    assert audio[audio.index("#EXT-X-DISCONTINUITY") - 1] == "1.m4s"
    assert [line for line in audio if line.startswith("#EXT-X-MAP")] == ['#EXT-X-MAP:URI="init-0.mp4"']
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:0" in video
    directory = journal(tmp_path).parent / "720p"
    assert AVCC in (directory / "init-0.mp4").read_bytes()
    assert HIGH_AVCC in (directory / "init-1.mp4").read_bytes()
    for name in ("720p", "audio"):
        rendition = presentation.renditions[name]
        assert [segment.program_date_time_ms / 1000 - UNIX_S for segment in rendition.segments] == [0, 1, 3, 5, 7]


@pytest.mark.parametrize("compacted", [False, True])
def test_the_discontinuity_sequence_counts_what_has_left_the_window(tmp_path: Path, compacted: bool) -> None:
    live = Passthrough(tmp_path)
    live.run(4)
    live.video.change_track(video_track(timescale_hz=10, decoder_config=HIGH_AVCC))
    live.run(4)
    live.video.change_track(video_track(timescale_hz=10))
    inode = journal(tmp_path).stat().st_ino
    live.run(500 if compacted else 40)
    assert (journal(tmp_path).stat().st_ino != inode) == compacted
    presentation = replay(journal(tmp_path))
    for name, init in (("720p", "init-2.mp4"), ("audio", "init-0.mp4")):
        lines = media_playlist(presentation, name).splitlines()
        assert "#EXT-X-DISCONTINUITY-SEQUENCE:2" in lines
        assert "#EXT-X-DISCONTINUITY" not in lines
        assert f'#EXT-X-MAP:URI="{init}"' in lines


def test_a_track_that_changes_before_anything_was_published_is_no_discontinuity(tmp_path: Path) -> None:
    live = Passthrough(tmp_path)
    live.video.change_track(video_track(timescale_hz=10, decoder_config=HIGH_AVCC))
    live.run(5)
    lines = media_playlist(replay(journal(tmp_path)), "720p").splitlines()
    assert "#EXT-X-DISCONTINUITY" not in lines
    assert '#EXT-X-MAP:URI="init-1.mp4"' in lines


def test_a_planned_rendition_can_not_change_its_track(tmp_path: Path) -> None:
    publication = new_publication(tmp_path)
    cuts = PlannedCuts([Fraction(0)], Fraction(2), 90_000, Fraction(0))
    segmenter = RenditionSegmenter(publication, video_track(), cuts)
    with pytest.raises(TypeError, match="PlannedCuts"):
        segmenter.change_track(video_track())


def test_audio_that_is_late_gets_the_numbers_and_times_of_the_video(tmp_path: Path) -> None:
    live = Passthrough(tmp_path)
    live.run(5, audio=False)
    live.run(6)
    presentation = replay(journal(tmp_path))
    video = {s.msn: s.program_date_time_ms for s in presentation.renditions["720p"].segments}
    audio = {s.msn: s.program_date_time_ms for s in presentation.renditions["audio"].segments}
    assert min(audio) == 3
    assert audio == {msn: time_ms for msn, time_ms in video.items() if msn >= 3}


def test_compaction_changes_no_playlist(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.segments(10)
    inode = journal(tmp_path).stat().st_ino
    for _ in range(300):
        writer.segments(1)
        if journal(tmp_path).stat().st_ino != inode:
            break
    else:
        raise AssertionError("never compacted")
    lines = media_playlist(replay(journal(tmp_path)), "720p").splitlines()
    assert sum(line.startswith("#EXT-X-PART:") for line in lines) == 4 * 4
    assert sum(line.startswith("#EXTINF") for line in lines) == 6
    records = [line for line in journal(tmp_path).read_bytes().splitlines() if OpenRecord.type.encode() in line]
    assert len(records) < 40


def test_nothing_follows_the_end(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.segments(1)
    writer.publication.end()
    assert replay(journal(tmp_path)).ended
    with pytest.raises(ValueError, match="closed"):
        writer.parts(1)


def test_a_measured_bitrate_replaces_the_guessed_one(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.segments(1)
    writer.publication.update_track(replace(video_track(), bandwidth_bps=1_000_000, average_bandwidth_bps=900_000))
    assert "BANDWIDTH=1140000,AVERAGE-BANDWIDTH=1028000," in multivariant_playlist(replay(journal(tmp_path)))


def test_dates_of_a_source_that_was_ahead_of_its_time_do_not_go_back(tmp_path: Path) -> None:
    """A date belongs to one segment; an overlap of less than a second is allowed (6.2.1)."""
    ahead_s = 3.0
    publication = new_publication(tmp_path, wall_time_s=lambda media_s: UNIX_S + media_s + ahead_s)
    publication.add_rendition(video_track())
    for msn in range(6):
        ahead_s = 3.0 if msn < 2 else 0.0
        publication.open_segment("720p", msn, msn * 2.0, False)
        publication.finish_segment("720p", [Part(b"", 2.0, independent=True)])
    segments = replay(journal(tmp_path)).renditions["720p"].segments
    assert [segment.program_date_time_ms / 1000 - UNIX_S for segment in segments] == [3.0, 5.0, 6.5, 8.0, 9.5, 11.0]
