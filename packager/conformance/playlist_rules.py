"""Rules of one media playlist."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import floor

from packager.conformance.rules import RuleSet, new_rule
from packager.conformance.text import MULTIVARIANT_TAGS, ReadPlaylist

PLAYLIST: RuleSet[[ReadPlaylist]] = RuleSet()
READABLE = new_rule("4.1", "playlists-are-readable", "MUST", "A playlist begins with #EXTM3U and follows the grammar.")
EPSILON_S = 1e-4
"""What rounding to the digits of a playlist may do."""


@PLAYLIST.rule("4.4.3")
def tags_of_the_playlist_stand_once(playlist: ReadPlaylist) -> Iterator[str]:
    """A tag that speaks of the whole playlist stands in it once."""
    yield from playlist.repeated


@PLAYLIST.rule("4.4.6")
def no_multivariant_tag_in_a_media_playlist(playlist: ReadPlaylist) -> Iterator[str]:
    """Tags of multivariant playlists have no place in a media playlist."""
    yield from sorted(playlist.tags & MULTIVARIANT_TAGS)


@PLAYLIST.rule("4.4.3.1")
def target_duration_is_given(playlist: ReadPlaylist) -> Iterator[str]:
    """EXT-X-TARGETDURATION is required, and is above 0."""
    if playlist.target_duration_s < 1:
        yield "no EXT-X-TARGETDURATION of at least 1"


@PLAYLIST.rule("4.4.3.1")
def segments_round_to_at_most_the_target_duration(playlist: ReadPlaylist) -> Iterator[str]:
    """EXTINF, rounded to the nearest integer, is at most the target duration."""
    for segment in playlist.complete:
        target_s = playlist.target_duration_s
        if floor(segment.duration_s + 0.5) > target_s:
            yield f"segment {segment.msn} lasts {segment.duration_s} s, EXT-X-TARGETDURATION is {target_s}"


@PLAYLIST.rule("4.4.3.2")
def sequence_tags_come_before_segments(playlist: ReadPlaylist) -> Iterator[str]:
    """EXT-X-MEDIA-SEQUENCE and EXT-X-DISCONTINUITY-SEQUENCE precede the first segment."""
    yield from playlist.late


@PLAYLIST.rule("4.4.4.1")
def every_segment_has_its_duration(playlist: ReadPlaylist) -> Iterator[str]:
    """EXTINF is required for each segment."""
    for segment in playlist.complete:
        if not segment.has_extinf:
            yield f"segment {segment.msn}"


@PLAYLIST.rule("4.4.4.6", "SHOULD")
def dates_have_milliseconds_and_a_zone(playlist: ReadPlaylist) -> Iterator[str]:
    """EXT-X-PROGRAM-DATE-TIME is a date with milliseconds and a time zone."""
    for segment in playlist.segments:
        date = segment.program_date_time
        if date and (segment.start_s is None or "." not in date or not (date.endswith("Z") or date[-6] in "+-")):
            yield f"segment {segment.msn}: {date!r}"


@PLAYLIST.rule("6.2.1")
def dates_do_not_overlap(playlist: ReadPlaylist) -> Iterator[str]:
    """A date belongs to one segment; overlaps are below a second."""
    for before, after in pairwise(playlist.segments):
        if before.start_s is not None and after.start_s is not None:
            overlap_s = before.start_s + before.listed_s - after.start_s
            if overlap_s >= 1 or after.start_s <= before.start_s:
                yield f"segment {after.msn} begins {overlap_s:.3f} s before segment {before.msn} ends"


@PLAYLIST.rule("4.4.4.9")
def parts_are_not_longer_than_the_part_target(playlist: ReadPlaylist) -> Iterator[str]:
    """No part lasts longer than PART-TARGET."""
    for segment in playlist.segments:
        for index, part in enumerate(segment.parts):
            if playlist.part_target_s is not None and part.duration_s > playlist.part_target_s + EPSILON_S / 10:
                yield f"part {segment.msn}.{index} lasts {part.duration_s} s, PART-TARGET is {playlist.part_target_s} s"


@PLAYLIST.rule("4.4.4.9")
def parts_fill_the_part_target(playlist: ReadPlaylist) -> Iterator[str]:
    """A part lasts at least 85 % of PART-TARGET, unless it is independent, a gap, before a gap, or a segment's last."""
    for segment in playlist.segments:
        for index, (part, after) in enumerate(pairwise(segment.parts)):
            exempt = part.independent or part.gap or after.gap
            least_s = 0.85 * (playlist.part_target_s or 0)
            if not exempt and part.duration_s < least_s - EPSILON_S:
                yield f"part {segment.msn}.{index} lasts {part.duration_s} s, 85 % of PART-TARGET are {least_s:.5f} s"


@PLAYLIST.rule("4.4.4.9")
def segment_tags_come_before_the_first_part(playlist: ReadPlaylist) -> Iterator[str]:
    """What applies to a segment applies to its first part, and stands before it."""
    for segment in playlist.segments:
        for tag in segment.late_tags:
            yield f"segment {segment.msn}: {tag}"


@PLAYLIST.rule("3.2")
def parts_add_up_to_their_segment(playlist: ReadPlaylist) -> Iterator[str]:
    """The parts of a segment hold the same media as the segment."""
    for segment in playlist.complete:
        if segment.parts:
            sum_s = sum(part.duration_s for part in segment.parts)
            # Each of them may be rounded to the digits that are written.
            if abs(sum_s - segment.duration_s) > 0.001 * (len(segment.parts) + 1):
                yield f"segment {segment.msn} lasts {segment.duration_s} s, its parts {sum_s:.5f} s"


@PLAYLIST.rule("6.2.2", "SHOULD")
def parts_leave_after_three_target_durations(playlist: ReadPlaylist) -> Iterator[str]:
    """Parts farther than three target durations from the end are not listed."""
    after_s = 0.0
    for segment in reversed(playlist.segments):
        if segment.parts and after_s > 3 * playlist.target_duration_s + EPSILON_S:
            yield f"the parts of segment {segment.msn} end {after_s:.3f} s before the end"
        after_s += segment.listed_s


@PLAYLIST.rule("6.2.2")
def discontinuities_that_will_leave_need_their_sequence(playlist: ReadPlaylist) -> Iterator[str]:
    """A playlist that loses segments and has discontinuities has EXT-X-DISCONTINUITY-SEQUENCE."""
    losing = playlist.media_sequence > 0 and not playlist.ended
    if losing and "EXT-X-DISCONTINUITY" in playlist.tags and "EXT-X-DISCONTINUITY-SEQUENCE" not in playlist.tags:
        yield "EXT-X-DISCONTINUITY without EXT-X-DISCONTINUITY-SEQUENCE"


@PLAYLIST.rule("6.2.1")
def another_map_comes_with_a_discontinuity(playlist: ReadPlaylist) -> Iterator[str]:
    """A change of encoding parameters is marked by EXT-X-DISCONTINUITY."""
    for before, after in pairwise(playlist.segments):
        if before.map_uri != after.map_uri and not after.discontinuity:
            yield f"segment {after.msn}: {after.map_uri!r} after {before.map_uri!r}"


@PLAYLIST.rule("8")
def the_version_is_that_of_the_tags(playlist: ReadPlaylist) -> Iterator[str]:
    """EXT-X-VERSION is as high as the tags and attributes need."""
    needed = _needed_version(playlist)
    if playlist.version < needed:
        yield f"EXT-X-VERSION {playlist.version}, needed is {needed}"


@PLAYLIST.rule("6.2.1", "SHOULD")
def the_version_is_not_higher_than_needed(playlist: ReadPlaylist) -> Iterator[str]:
    """EXT-X-VERSION is no higher than the tags and attributes need."""
    needed = _needed_version(playlist)
    if playlist.version > needed:
        yield f"EXT-X-VERSION {playlist.version}, needed is {needed}"


def _needed_version(playlist: ReadPlaylist) -> int:
    if "EXT-X-SKIP" in playlist.tags:
        return 9
    if "EXT-X-MAP" in playlist.tags:
        return 6
    if "EXT-X-BYTERANGE" in playlist.tags:
        return 4
    return 3 if any(not segment.duration_s.is_integer() for segment in playlist.complete) else 1
