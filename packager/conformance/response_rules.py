"""Rules of requests and their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packager.conformance.rules import RuleSet
from packager.conformance.text import ReadPlaylist

_TYPES = ("application/vnd.apple.mpegurl", "audio/mpegurl", "application/x-mpegurl", "audio/x-mpegurl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to a request for a playlist; the directives are those of the request. Header names in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    playlist: ReadPlaylist | None = None
    msn: int | None = None
    part: int | None = None
    skip: bool = False
    accepts_gzip: bool = True

    def max_age_s(self) -> int | None:
        """What Cache-Control allows; None where it says nothing."""
        for item in self.headers.get("cache-control", "").split(","):
            name, _, value = item.strip().partition("=")
            if name in ("no-cache", "no-store"):
                return 0
            if name == "max-age" and value.isdecimal():
                return int(value)
        return None


ANSWER: RuleSet[[Answer]] = RuleSet()


@ANSWER.rule("6.2.5.2")
def a_blocking_request_is_answered_when_the_playlist_has_it(answer: Answer) -> Iterator[str]:
    """`_HLS_msn` and `_HLS_part` are never answered before the playlist has that segment or part, or a later one."""
    playlist = answer.playlist
    if playlist is None or answer.msn is None or playlist.ended:
        return
    wanted = (answer.msn + 1, 0) if answer.part is None else (answer.msn, answer.part + 1)
    if playlist.end < wanted:
        asked = f"_HLS_msn={answer.msn}" + ("" if answer.part is None else f"&_HLS_part={answer.part}")
        yield f"{asked} was answered with a playlist that goes to segment and part {playlist.end}"


@ANSWER.rule("6.2.5.1")
def a_delta_update_comes_only_when_asked_for(answer: Answer) -> Iterator[str]:
    """Without `_HLS_skip` a playlist is whole."""
    if answer.playlist is not None and answer.playlist.skipped and not answer.skip:
        yield f"{answer.url}: EXT-X-SKIP was not asked for"


@ANSWER.rule("6.2.5.1")
def a_delta_update_is_given_when_asked_for(answer: Answer) -> Iterator[str]:
    """`_HLS_skip` is answered with a delta update, where the playlist is long enough and has no discontinuity."""
    playlist = answer.playlist
    if playlist is None or not answer.skip or playlist.skipped or playlist.ended:
        return
    boundary_s = float(playlist.control.get("CAN-SKIP-UNTIL", "inf"))
    length_s = sum(segment.listed_s for segment in playlist.segments)
    cut = any(segment.discontinuity for segment in playlist.segments)
    # A server may well give the whole near a discontinuity: some players count wrong there.
    if not cut and length_s > boundary_s + 2 * playlist.target_duration_s:
        yield f"{answer.url}: the whole playlist of {length_s:.1f} s, the skip boundary is {boundary_s} s"


@ANSWER.rule("6.2.1", "SHOULD")
def playlists_are_gzipped(answer: Answer) -> Iterator[str]:
    """Text files are gzipped for clients that accept it."""
    if answer.playlist is not None and answer.accepts_gzip and answer.headers.get("content-encoding") != "gzip":
        yield f"{answer.url}: Content-Encoding {answer.headers.get('content-encoding')!r}"


@ANSWER.rule("4")
def playlists_have_their_type(answer: Answer) -> Iterator[str]:
    """A playlist is known by its path (.m3u8, .m3u) or by its Content-Type."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    by_path = answer.url.partition("?")[0].endswith((".m3u8", ".m3u"))
    if answer.playlist is not None and kind not in _TYPES and not by_path:
        yield f"{answer.url}: Content-Type {kind!r}"


@ANSWER.rule("fetch", "PLAYER")
def any_page_may_read_it(answer: Answer) -> Iterator[str]:
    """Access-Control-Allow-Origin allows every page: without, players in browsers get nothing."""
    if answer.headers.get("access-control-allow-origin") != "*":
        yield f"{answer.url}: Access-Control-Allow-Origin {answer.headers.get('access-control-allow-origin')!r}"


@ANSWER.rule("6.2.1")
def live_playlists_are_not_cached_for_long(answer: Answer) -> Iterator[str]:
    """A live playlist is new at least every 1.5 target durations; a cache must not hold it longer."""
    playlist, age_s = answer.playlist, answer.max_age_s()
    if playlist is None or playlist.ended or age_s is None:
        return
    # The answer to a blocking request stays true: six target durations are what CDNs are told.
    bound_s = playlist.target_duration_s * (1.5 if answer.msn is None else 6)
    if age_s > bound_s:
        yield f"{answer.url}: max-age {age_s} s, bound {bound_s} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A request that is wrong on purpose, and its answer."""

    what: str
    expected: tuple[int, ...]
    status: int
    max_age_s: int | None


PROBE_400: RuleSet[[Probe]] = RuleSet()
PROBE_FAR: RuleSet[[Probe]] = RuleSet()
PROBE_404: RuleSet[[Probe]] = RuleSet()
PROBE_MEDIA: RuleSet[[Probe]] = RuleSet()


def _unexpected(probe: Probe) -> Iterator[str]:
    if probe.status not in probe.expected:
        yield f"{probe.what}: status {probe.status}, expected {' or '.join(map(str, probe.expected))}"


@PROBE_400.rule("6.2.5.2")
def a_part_without_a_segment_is_refused(probe: Probe) -> Iterator[str]:
    """`_HLS_part` without `_HLS_msn` is a bad request (400)."""
    yield from _unexpected(probe)


@PROBE_FAR.rule("6.2.5.2", "SHOULD")
def what_is_too_far_ahead_is_refused(probe: Probe) -> Iterator[str]:
    """`_HLS_msn` more than two ahead, or `_HLS_part` beyond the advance part limit, is a bad request (400)."""
    yield from _unexpected(probe)


@PROBE_404.rule("6.2.6", "SHOULD")
def what_is_not_there_is_not_found(probe: Probe) -> Iterator[str]:
    """A resource that is not there and not hinted at is 404, and not cached for long."""
    yield from _unexpected(probe)
    if (probe.max_age_s or 0) > 15:
        yield f"{probe.what}: max-age {probe.max_age_s} s"


@PROBE_MEDIA.rule("4.4.4.2", "PLAYER")
def media_are_served_by_ranges(probe: Probe) -> Iterator[str]:
    """A range of a segment is answered with that range (206)."""
    yield from _unexpected(probe)


HINTED: RuleSet[[str, int, float, float]] = RuleSet()


@HINTED.rule("6.2.6")
def a_hinted_part_can_be_requested(url: str, status: int, sending_s: float, part_target_s: float) -> Iterator[str]:
    """What is hinted at can be asked for at once; the answer is the part."""
    if status != 200:
        yield f"{url}: status {status}, and the part came"


@HINTED.rule("6.2.6")
def a_part_is_sent_when_it_is_whole(url: str, status: int, sending_s: float, part_target_s: float) -> Iterator[str]:
    """No byte of a part is sent before all can be, at the speed of the link: players measure their bandwidth by it."""
    if sending_s > part_target_s / 2:
        yield f"{url}: {sending_s:.3f} s from its first byte to its last, PART-TARGET is {part_target_s} s"


REPORTS: RuleSet[[str, ReadPlaylist, Mapping[str, tuple[int, int]]]] = RuleSet()


@REPORTS.rule("4.4.5.4")
def reports_are_as_new_as_their_playlist(
    url: str, playlist: ReadPlaylist, known: Mapping[str, tuple[int, int]]
) -> Iterator[str]:
    """A rendition report is not older than what that rendition had when the playlist was asked for.

    `known` has what each rendition had then, as media sequence number and count of parts, by the report's URI.
    """
    for report in playlist.reports:
        uri = report.get("URI", "")
        if uri in known and "LAST-MSN" in report and "LAST-PART" in report:
            told = int(report["LAST-MSN"]), int(report["LAST-PART"]) + 1
            msn, parts = known[uri]
            # Of a segment that is complete nobody says how many parts it had: its last is the end before the next.
            if told < (msn, parts) and not (parts == 0 and told[0] == msn - 1):
                yield f"{url}: {uri} is reported at {told[0]}.{told[1] - 1}, it had gone to {msn}.{parts - 1}"
