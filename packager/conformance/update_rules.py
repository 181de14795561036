"""Rules of what a media playlist may become: two versions of it, the later one whole or a delta update."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from packager.conformance.playlist_rules import EPSILON_S
from packager.conformance.rules import RuleSet, Violation, new_rule
from packager.conformance.text import ReadPlaylist, ReadSegment


@dataclass(frozen=True, slots=True)
class Update:
    """An earlier and a later version, both whole."""

    before: ReadPlaylist
    after: ReadPlaylist

    def common(self) -> Iterator[tuple[ReadSegment, ReadSegment]]:
        """The segments that both list."""
        later = {segment.msn: segment for segment in self.after.segments}
        for segment in self.before.segments:
            if segment.msn in later:
                yield segment, later[segment.msn]


UPDATE: RuleSet[[Update]] = RuleSet()
_MERGE = new_rule(
    "6.2.5.1",
    "a-delta-update-counts-what-it-skips",
    "MUST",
    "What a delta update skips, a client that is up to date has.",
)


def merge(before: ReadPlaylist | None, after: ReadPlaylist) -> tuple[ReadPlaylist | None, list[Violation]]:
    """The later version as a whole playlist (6.3.7); None, and why, where the earlier one does not have the rest."""
    if not after.skipped:
        return after, []
    known = {segment.msn: segment for segment in before.segments} if before is not None else {}
    wanted = range(after.media_sequence, after.media_sequence + after.skipped)
    missing = [msn for msn in wanted if msn not in known or not known[msn].uri]
    if missing:
        return None, [Violation(_MERGE, f"segment {missing[0]} is skipped, and was not in the playlist before")]
    # Parts of what is skipped are not at the live edge any more.
    skipped = [replace(known[msn], parts=[]) for msn in wanted]
    # A delta update counts discontinuities from its start, as if what it skips had none.
    had = sum(segment.discontinuity for segment in skipped)
    kept = [
        replace(
            segment,
            discontinuities=segment.discontinuities + had,
            map_uri=segment.map_uri or skipped[-1].map_uri,
        )
        for segment in after.segments
    ]
    return replace(after, segments=[*skipped, *kept], skipped=0), []


@UPDATE.rule("6.2.1")
def target_duration_never_changes(update: Update) -> Iterator[str]:
    """EXT-X-TARGETDURATION stays as it is."""
    if update.before.target_duration_s != update.after.target_duration_s:
        yield f"{update.before.target_duration_s} became {update.after.target_duration_s}"


@UPDATE.rule("4.4.3.8", "PLAYER")
def low_latency_values_never_change(update: Update) -> Iterator[str]:
    """PART-TARGET and EXT-X-SERVER-CONTROL stay as they are: AVPlayer stops when they change."""
    if update.before.part_target_s != update.after.part_target_s:
        yield f"PART-TARGET {update.before.part_target_s} became {update.after.part_target_s}"
    if update.before.control != update.after.control:
        yield f"EXT-X-SERVER-CONTROL {update.before.control} became {update.after.control}"


@UPDATE.rule("6.2.1")
def a_playlist_never_goes_back(update: Update) -> Iterator[str]:
    """Lines are appended: nothing that was at the end is gone."""
    if update.after.end < update.before.end:
        yield f"it went to segment and part {update.before.end}, and goes to {update.after.end}"


@UPDATE.rule("6.2.2")
def media_sequence_never_decreases(update: Update) -> Iterator[str]:
    """EXT-X-MEDIA-SEQUENCE does not decrease."""
    if update.after.media_sequence < update.before.media_sequence:
        yield f"{update.before.media_sequence} became {update.after.media_sequence}"


@UPDATE.rule("6.2.2")
def media_sequence_counts_what_was_removed(update: Update) -> Iterator[str]:
    """A segment keeps its media sequence number: the same URI has the same number."""
    numbers = {segment.uri: segment.msn for segment in update.before.complete}
    for segment in update.after.complete:
        if segment.uri in numbers and numbers[segment.uri] != segment.msn:
            yield f"{segment.uri!r} was segment {numbers[segment.uri]}, and is {segment.msn}"


@UPDATE.rule("6.2.1")
def what_is_listed_never_changes(update: Update) -> Iterator[str]:
    """The URI, duration, map, date and gap of a segment, and of a part, stay as they are."""
    for before, after in update.common():
        if before.uri and before.uri != after.uri:
            yield f"segment {before.msn}: {before.uri!r} became {after.uri!r}"
        if before.uri and abs(before.duration_s - after.duration_s) > EPSILON_S / 10:
            yield f"segment {before.msn}: EXTINF {before.duration_s} became {after.duration_s}"
        for name in ("map_uri", "program_date_time", "gap", "discontinuity"):
            if getattr(before, name) != getattr(after, name):
                yield f"segment {before.msn}: {name} {getattr(before, name)!r} became {getattr(after, name)!r}"
        for index, (earlier, later) in enumerate(zip(before.parts, after.parts, strict=False)):
            if earlier != later:
                yield f"part {before.msn}.{index}: {earlier} became {later}"


@UPDATE.rule("6.2.2")
def discontinuity_numbers_stay(update: Update) -> Iterator[str]:
    """EXT-X-DISCONTINUITY-SEQUENCE does not decrease, and counts what was removed."""
    for before, after in update.common():
        if before.discontinuities != after.discontinuities:
            yield f"segment {before.msn}: {before.discontinuities} became {after.discontinuities}"
            return
    if update.after.discontinuity_sequence < update.before.discontinuity_sequence:
        yield f"{update.before.discontinuity_sequence} became {update.after.discontinuity_sequence}"


@UPDATE.rule("6.2.2")
def parts_leave_in_order_and_at_once(update: Update) -> Iterator[str]:
    """Parts leave the playlist in the order in which they stand, and come no more."""
    for before, after in update.common():
        if 0 < len(after.parts) < len(before.parts):
            yield f"segment {before.msn} had {len(before.parts)} parts, and has {len(after.parts)}"
    kept = [bool(segment.parts) for segment in update.after.segments if not segment.gap]
    if True in kept and False in kept[kept.index(True) :]:
        yield "a segment without parts stands between segments with parts"


@UPDATE.rule("6.2.2")
def three_target_durations_are_left(update: Update) -> Iterator[str]:
    """Nothing is removed that leaves less than three target durations."""
    left_s = sum(segment.duration_s for segment in update.after.complete)
    removed = update.after.media_sequence > update.before.media_sequence and not update.after.ended
    if removed and left_s < 3 * update.after.target_duration_s - 0.01:
        yield f"{left_s:.3f} s are left, the target duration is {update.after.target_duration_s} s"


@UPDATE.rule("6.2.2")
def a_playlist_that_loses_segments_has_no_type(update: Update) -> Iterator[str]:
    """A live playlist has no EXT-X-PLAYLIST-TYPE: no type of it allows segments to go."""
    if update.after.media_sequence > update.before.media_sequence and "EXT-X-PLAYLIST-TYPE" in update.after.values:
        yield f"EXT-X-PLAYLIST-TYPE:{update.after.values['EXT-X-PLAYLIST-TYPE']}"


@UPDATE.rule("6.2.1")
def nothing_follows_the_end(update: Update) -> Iterator[str]:
    """A playlist with EXT-X-ENDLIST does not change any more."""
    if update.before.ended and (not update.after.ended or update.after.end != update.before.end):
        yield f"it ended at {update.before.end}, and goes to {update.after.end}"


@UPDATE.rule("4.4.5.3")
def a_hint_comes_true(update: Update) -> Iterator[str]:
    """The part that follows has the URI that was hinted at."""
    hint = next((hint for hint in update.before.hints if hint.get("TYPE") == "PART"), None)
    if hint is None or update.after.end <= update.before.end or update.after.ended:
        return
    msn, index = update.before.end
    for segment in update.after.segments:
        if segment.msn == msn and len(segment.parts) > index and segment.parts[index].uri != hint.get("URI"):
            yield f"{hint.get('URI')!r} was hinted at, and {segment.parts[index].uri!r} came"
