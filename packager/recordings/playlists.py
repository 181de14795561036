"""Playlists of recordings as text (draft-pantos-hls-rfc8216bis; sections below).

A recording that grows is an EVENT, to which segments are added at the end and nothing else changes; one that is closed
is VOD. Segments are files of their own, those that were live.
"""

from __future__ import annotations

from math import ceil

from packager.multivariant import multivariant_text
from packager.playlists import PLAYLIST_VERSION, date_time_text, duration_text
from packager.recordings.recording import RecordedRendition, Recording
from packager.recordings.records import StoredSegment
from packager.recordings.timeline import hole_s


def recording_multivariant(recording: Recording) -> str:
    """The multivariant playlist. URIs are relative to `/vod/{recordingId}/master.m3u8`."""
    renditions = recording.renditions.values()
    independent = all(
        segment.independent
        for rendition in renditions
        if rendition.info.kind == "video"
        for segment in rendition.segments
    )
    return multivariant_text([rendition.info for rendition in renditions], independent=independent, base="")


def recording_playlist(recording: Recording, name: str) -> str:
    """The media playlist of a rendition. Raises `KeyError` for an unknown one, `ValueError` where nothing is known."""
    head, rendition = recording.head, recording.renditions[name]
    if head is None:
        raise ValueError("a recording without its first record has no playlist")
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{PLAYLIST_VERSION}", f"#EXT-X-TARGETDURATION:{head.target_duration_s}"]
    lines += ["#EXT-X-MEDIA-SEQUENCE:0", f"#EXT-X-PLAYLIST-TYPE:{'VOD' if recording.is_over else 'EVENT'}"]
    lines += _segment_lines(rendition, head.target_duration_s)
    if recording.is_over:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def _segment_lines(rendition: RecordedRendition, target_duration_s: int) -> list[str]:
    lines: list[str] = []
    before: StoredSegment | None = None
    for segment in rendition.segments:
        if before is not None:
            if segment.msn != before.msn + 1 and (missing_s := hole_s(before, segment)):
                lines += _hole_lines(before, missing_s, target_duration_s)
            if segment.discontinuities != before.discontinuities:
                lines.append("#EXT-X-DISCONTINUITY")
        if (before is None or segment.init != before.init) and segment.init in rendition.inits:
            lines.append(f'#EXT-X-MAP:URI="{segment.init}"')
        lines.append("#EXT-X-PROGRAM-DATE-TIME:" + date_time_text(segment.program_date_time_ms))
        if segment.is_missing:
            lines.append("#EXT-X-GAP")
        lines.append(f"#EXTINF:{duration_text(segment.duration_s)},\n{segment.file}")
        before = segment
    return lines


def _hole_lines(before: StoredSegment, missing_s: float, target_duration_s: int) -> list[str]:
    """Segments that are not there (4.4.4.7), for as long as the hole is: what comes after is where it belongs."""
    count = ceil(missing_s / target_duration_s)
    start_ms = before.program_date_time_ms + before.duration_s * 1000
    lines = []
    for index in range(count):
        lines += [
            "#EXT-X-PROGRAM-DATE-TIME:" + date_time_text(round(start_ms + index * missing_s / count * 1000)),
            "#EXT-X-GAP",
            f"#EXTINF:{duration_text(missing_s / count)},",
            f"{before.msn + 1 + index}.m4s",
        ]
    return lines
