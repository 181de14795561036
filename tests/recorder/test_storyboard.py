"""Thumbnails of a session become the storyboard of its recording."""

from __future__ import annotations

from packager.publication import THUMBNAILS
from packager.recordings.recording import read_recording
from packager.recordings.records import StoredSegment
from packager.recordings.storyboard import storyboard
from packager.recordings.timeline import Positions
from packager.records import ThumbnailRecord
from recorder.session import RecordedSession
from recorder.storing import Disk
from tests.recorder.helpers import RecordedWriter


def thumbnail(start_s: float, x_px: int) -> ThumbnailRecord:
    return ThumbnailRecord(sheet="sheet-1000.jpg", start_s=start_s, x_px=x_px, y_px=0, width_px=160, height_px=90)


def test_cues_are_where_the_pictures_are(writer: RecordedWriter, session: RecordedSession, disk: Disk) -> None:
    writer.publication.write_thumbnail(thumbnail(1.0, 0), b"first")
    writer.segments(6)
    session.step()
    writer.publication.write_thumbnail(thumbnail(11.0, 160), b"first and second")
    writer.segments(40)
    # A recorder that comes back late: of the third picture nothing is recorded.
    writer.publication.write_thumbnail(thumbnail(21.0, 320), b"all three")
    again = RecordedSession(writer.directory, disk, "node_a")
    again.step()
    assert again.summary.thumbnails == 3
    assert (again.directory / THUMBNAILS / "sheet-1000.jpg").read_bytes() == b"all three"
    assert storyboard(read_recording(again.directory)) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:11.000\nthumbnails/sheet-1000.jpg#xywh=0,0,160,90\n\n"
        "00:00:11.000 --> 00:00:21.000\nthumbnails/sheet-1000.jpg#xywh=160,0,160,90\n\n"
        "00:00:21.000 --> 00:01:32.000\nthumbnails/sheet-1000.jpg#xywh=320,0,160,90\n"
    )


def test_times_are_those_of_the_playlist() -> None:
    """Media time from 10 s on, a hole of 4 s after two segments, and a clock that goes on elsewhere after that."""
    segment = StoredSegment("720p", 5, 10.0, 2.0, 10_000, 0, "init-0.mp4", True, 1, 0)
    positions = Positions(
        [
            segment,
            segment._replace(msn=6, start_s=12.0, program_date_time_ms=12_000),
            segment._replace(msn=9, start_s=18.0, program_date_time_ms=18_000),
            segment._replace(msn=10, start_s=50.0, program_date_time_ms=20_000, discontinuities=1),
        ]
    )
    assert positions.duration_s == 12.0
    asked = (9.9, 10.0, 13.5, 14.0, 18.5, 20.0, 51.0, 52.0)
    assert [positions.at(media_s) for media_s in asked] == [None, 0.0, 3.5, None, 8.5, None, 11.0, None]
