"""For how long what a session has published stays: its files, and its records in the journal."""

from __future__ import annotations

from pathlib import Path

from packager.files import part_file
from packager.presentation import WINDOW_SEGMENTS
from packager.records import OpenRecord, PartRecord, Record, SegmentRecord, ThumbnailRecord
from packager.written import WrittenRendition, WrittenSession

_KEEP_SEGMENTS = 2 * WINDOW_SEGMENTS + 1
_KEEP_PARTS_TARGET_DURATIONS = 7
"""Parts are listed for three target durations and stay for three more (6.2.2); one more for the segment they are of.
Later they are read from the segment's file."""
_KEEP_LEFT_S = 60.0
_KEEP_THUMBNAILS_S = 600.0


class Retention:
    """The rules of one session, by how long its playlists are."""

    def __init__(self, *, window_s: float, target_duration_s: int) -> None:
        self._parts_s = target_duration_s * _KEEP_PARTS_TARGET_DURATIONS
        # What has left the playlist stays for as long as a short playlist is, and for a segment. It has been there for
        # as long as the playlist is, which is what 6.2.2 asks for.
        self._segments_s = window_s + min(window_s, _KEEP_LEFT_S) + target_duration_s

    def forget_old(self, directory: Path, rendition: WrittenRendition) -> None:
        """Remove what has been there for long enough from the rendition's directory."""
        segments = rendition.segments
        after_s, parts_from = 0.0, rendition.parts_from
        for segment in reversed(segments):
            if segment.msn < rendition.parts_from:
                break
            if after_s > self._parts_s:
                for part in range(segment.part_files):
                    (directory / part_file(segment.msn, part)).unlink(missing_ok=True)
                parts_from = max(parts_from, segment.msn + 1)
            after_s += segment.duration_s
        rendition.parts_from = parts_from
        while len(segments) > _KEEP_SEGMENTS and rendition.kept_s - segments[0].duration_s > self._segments_s:
            segment = segments.popleft()
            rendition.kept_s -= segment.duration_s
            (directory / f"{segment.msn}.m4s").unlink(missing_ok=True)


def is_wanted(record: Record, written: WrittenSession) -> bool:
    """Whether what this record tells is still there."""
    if isinstance(record, OpenRecord | PartRecord):
        return record.msn >= written.renditions[record.rendition].parts_from
    if isinstance(record, ThumbnailRecord):
        return record.start_s > written.media_s - _KEEP_THUMBNAILS_S
    if isinstance(record, SegmentRecord):
        segments = written.renditions[record.rendition].segments
        return not segments or record.msn >= segments[0].msn
    return True
