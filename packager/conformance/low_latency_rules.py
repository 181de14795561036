"""Rules of one media playlist: what low latency adds to it."""

from __future__ import annotations

from collections.abc import Iterator

from packager.conformance.playlist_rules import EPSILON_S, PLAYLIST
from packager.conformance.text import ReadPlaylist


@PLAYLIST.rule("4.4.3.7")
def parts_need_a_part_target(playlist: ReadPlaylist) -> Iterator[str]:
    """EXT-X-PART-INF is required where there are parts."""
    if "EXT-X-PART" in playlist.tags and playlist.part_target_s is None:
        yield "EXT-X-PART without EXT-X-PART-INF"


@PLAYLIST.rule("4.4.3.8")
def part_hold_back_is_at_least_twice_the_part_target(playlist: ReadPlaylist) -> Iterator[str]:
    """PART-HOLD-BACK is required with EXT-X-PART-INF, and at least twice PART-TARGET."""
    yield from _hold_back(playlist, 2)


@PLAYLIST.rule("4.4.3.8", "SHOULD")
def part_hold_back_is_three_part_targets(playlist: ReadPlaylist) -> Iterator[str]:
    """PART-HOLD-BACK should be at least three times PART-TARGET."""
    if "PART-HOLD-BACK" in playlist.control:
        yield from _hold_back(playlist, 3)


def _hold_back(playlist: ReadPlaylist, times: int) -> Iterator[str]:
    if playlist.part_target_s is not None:
        hold_back_s = float(playlist.control.get("PART-HOLD-BACK", "0"))
        if hold_back_s < times * playlist.part_target_s - EPSILON_S:
            yield f"PART-HOLD-BACK {hold_back_s} s, PART-TARGET {playlist.part_target_s} s"


@PLAYLIST.rule("4.4.3.8")
def hold_back_is_at_least_three_target_durations(playlist: ReadPlaylist) -> Iterator[str]:
    """HOLD-BACK is at least three times the target duration."""
    hold_back_s = float(playlist.control.get("HOLD-BACK", "inf"))
    if hold_back_s < 3 * playlist.target_duration_s:
        yield f"HOLD-BACK {hold_back_s} s, EXT-X-TARGETDURATION {playlist.target_duration_s}"


@PLAYLIST.rule("4.4.3.8")
def skip_boundary_is_at_least_six_target_durations(playlist: ReadPlaylist) -> Iterator[str]:
    """CAN-SKIP-UNTIL is at least six times the target duration."""
    boundary_s = float(playlist.control.get("CAN-SKIP-UNTIL", "inf"))
    if boundary_s < 6 * playlist.target_duration_s:
        yield f"CAN-SKIP-UNTIL {boundary_s} s, EXT-X-TARGETDURATION {playlist.target_duration_s}"


@PLAYLIST.rule("4.4.5.2")
def a_delta_update_needs_a_skip_boundary(playlist: ReadPlaylist) -> Iterator[str]:
    """EXT-X-SKIP stands only in playlists with CAN-SKIP-UNTIL and without EXT-X-ENDLIST."""
    if playlist.skipped and ("CAN-SKIP-UNTIL" not in playlist.control or playlist.ended):
        yield "EXT-X-SKIP in a playlist that " + ("has ended" if playlist.ended else "has no CAN-SKIP-UNTIL")


@PLAYLIST.rule("6.2.5.1")
def a_delta_update_keeps_what_is_nearer_than_the_boundary(playlist: ReadPlaylist) -> Iterator[str]:
    """Only segments farther from the end than the skip boundary are skipped."""
    boundary_s = float(playlist.control.get("CAN-SKIP-UNTIL", "0"))
    kept_s = sum(segment.listed_s for segment in playlist.segments)
    if playlist.skipped and kept_s < boundary_s - 0.01:
        yield f"the segments that are left last {kept_s:.3f} s, the boundary is {boundary_s} s"


@PLAYLIST.rule("4.4.5.3")
def no_hint_after_the_end(playlist: ReadPlaylist) -> Iterator[str]:
    """A playlist with EXT-X-ENDLIST hints at nothing."""
    if playlist.ended and playlist.hints:
        yield f"EXT-X-PRELOAD-HINT for {playlist.hints[0].get('URI')!r}"


@PLAYLIST.rule("6.2.6", "SHOULD")
def one_hint_of_a_type(playlist: ReadPlaylist) -> Iterator[str]:
    """There is at most one EXT-X-PRELOAD-HINT of a TYPE."""
    types = [hint.get("TYPE") for hint in playlist.hints]
    if len(types) != len(set(types)):
        yield f"{len(types)} hints"


@PLAYLIST.rule("4.4.5.3")
def a_hint_is_of_what_is_not_listed(playlist: ReadPlaylist) -> Iterator[str]:
    """A hint has TYPE and URI, and names what is still to come."""
    listed = playlist.part_uris
    for hint in playlist.hints:
        if hint.get("TYPE") not in ("PART", "MAP") or not hint.get("URI"):
            yield f"TYPE {hint.get('TYPE')!r}, URI {hint.get('URI')!r}"
        elif hint["TYPE"] == "PART" and hint["URI"] in listed and "BYTERANGE-START" not in hint:
            yield f"{hint['URI']!r} is listed already"


@PLAYLIST.rule("4.4.5.4")
def reports_name_their_rendition_and_its_end(playlist: ReadPlaylist) -> Iterator[str]:
    """A rendition report has a relative URI, LAST-MSN, and LAST-PART where there are parts."""
    for report in playlist.reports:
        missing = {"URI", "LAST-MSN"} - report.keys()
        if playlist.part_target_s is not None:
            missing |= {"LAST-PART"} - report.keys()
        # An attribute may be left out where it is this playlist's own; that is not told here, so only a URI must be.
        if "URI" in missing or "://" in report.get("URI", ""):
            yield f"URI {report.get('URI')!r}"
        elif missing and not playlist.segments:
            yield f"{report['URI']}: no {', '.join(sorted(missing))}"


@PLAYLIST.rule("B.1")
def low_latency_playlists_block(playlist: ReadPlaylist) -> Iterator[str]:
    """A low-latency playlist offers blocking reload."""
    if playlist.part_target_s is not None and playlist.control.get("CAN-BLOCK-RELOAD") != "YES":
        yield "no CAN-BLOCK-RELOAD=YES"


@PLAYLIST.rule("B.1")
def low_latency_playlists_have_dates(playlist: ReadPlaylist) -> Iterator[str]:
    """A low-latency playlist has EXT-X-PROGRAM-DATE-TIME."""
    dated = any(segment.program_date_time for segment in playlist.segments)
    if playlist.part_target_s is not None and playlist.segments and not dated:
        yield "no EXT-X-PROGRAM-DATE-TIME"


@PLAYLIST.rule("B.1", "PLAYER")
def low_latency_playlists_hint_at_the_next_part(playlist: ReadPlaylist) -> Iterator[str]:
    """A low-latency playlist that goes on hints at its next part: without, a player loses a round trip per part."""
    hinted = any(hint.get("TYPE") == "PART" for hint in playlist.hints)
    if playlist.part_target_s is not None and not playlist.ended and not hinted:
        yield "no EXT-X-PRELOAD-HINT of a part"
