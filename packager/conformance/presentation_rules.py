"""Rules of a multivariant playlist, and of the renditions of one presentation side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from urllib.parse import urljoin

from packager.conformance.rules import RuleSet
from packager.conformance.text import ReadMultivariant, ReadPlaylist

MULTIVARIANT: RuleSet[[ReadMultivariant]] = RuleSet()


@MULTIVARIANT.rule("4.4.6.2")
def variants_say_their_bandwidth(playlist: ReadMultivariant) -> Iterator[str]:
    """BANDWIDTH is required, and not below AVERAGE-BANDWIDTH."""
    for attributes, uri in playlist.variants:
        bandwidth, average = (attributes.get(name, "") for name in ("BANDWIDTH", "AVERAGE-BANDWIDTH"))
        if not bandwidth.isdecimal() or (average and int(bandwidth) < int(average)):
            yield f"{uri}: BANDWIDTH {bandwidth!r}, AVERAGE-BANDWIDTH {average!r}"


@MULTIVARIANT.rule("4.4.6.2", "SHOULD")
def variants_say_their_codecs_size_and_rate(playlist: ReadMultivariant) -> Iterator[str]:
    """CODECS should be given; RESOLUTION and FRAME-RATE are recommended for video."""
    for attributes, uri in playlist.variants:
        wanted = {"CODECS"} | ({"RESOLUTION", "FRAME-RATE"} if _has_video(attributes) else set())
        if missing := wanted - attributes.keys():
            yield f"{uri}: no {', '.join(sorted(missing))}"


def _has_video(attributes: Mapping[str, str]) -> bool:
    audio = ("mp4a", "ac-3", "ec-3", "opus", "fLaC", "flac")
    codecs = attributes.get("CODECS", "").split(",")
    return "RESOLUTION" in attributes or any(codec and not codec.lower().startswith(audio) for codec in codecs)


@MULTIVARIANT.rule("4.4.6.2")
def variants_name_groups_that_are_there(playlist: ReadMultivariant) -> Iterator[str]:
    """AUDIO, VIDEO, SUBTITLES and CLOSED-CAPTIONS name the GROUP-ID of an EXT-X-MEDIA of that type."""
    groups = {(media.get("TYPE"), media.get("GROUP-ID")) for media in playlist.media}
    for attributes, uri in playlist.variants:
        for kind in ("AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"):
            group = attributes.get(kind)
            if group is not None and (kind, group) not in groups and (kind, group) != ("CLOSED-CAPTIONS", "NONE"):
                yield f"{uri}: {kind}={group!r}"


@MULTIVARIANT.rule("4.4.6.2")
def captions_are_none_in_all_variants_or_in_no_one(playlist: ReadMultivariant) -> Iterator[str]:
    """CLOSED-CAPTIONS=NONE stands in every variant when it stands in one."""
    said = {attributes.get("CLOSED-CAPTIONS") == "NONE" for attributes, _uri in playlist.variants}
    if len(said) > 1:
        yield "CLOSED-CAPTIONS=NONE in some variants only"


@MULTIVARIANT.rule("4.4.6.1")
def media_say_type_group_and_name(playlist: ReadMultivariant) -> Iterator[str]:
    """TYPE, GROUP-ID and NAME are required; AUTOSELECT is YES where DEFAULT is."""
    for media in playlist.media:
        if missing := {"TYPE", "GROUP-ID", "NAME"} - media.keys():
            yield f"{media}: no {', '.join(sorted(missing))}"
        if media.get("DEFAULT") == "YES" and media.get("AUTOSELECT", "YES") != "YES":
            yield f"{media.get('NAME')!r}: DEFAULT=YES, AUTOSELECT={media['AUTOSELECT']}"


@MULTIVARIANT.rule("4.4.6.1.1")
def groups_have_different_names_and_one_default(playlist: ReadMultivariant) -> Iterator[str]:
    """The members of a group have different names; one at most is the default."""
    for one, other in combinations(playlist.media, 2):
        if all(one.get(name) == other.get(name) for name in ("TYPE", "GROUP-ID")):
            if one.get("NAME") == other.get("NAME"):
                yield f"two of group {one.get('GROUP-ID')!r} are named {one.get('NAME')!r}"
            if one.get("DEFAULT") == other.get("DEFAULT") == "YES":
                yield f"two of group {one.get('GROUP-ID')!r} are the default"


@dataclass(frozen=True, slots=True)
class Presentation:
    """The media playlists of a presentation at about the same time, by their absolute URLs."""

    playlists: Mapping[str, ReadPlaylist]

    def pairs(self) -> Iterator[tuple[str, ReadPlaylist, ReadPlaylist]]:
        """Each two of them, and their names."""
        for (one_url, one), (other_url, other) in combinations(self.playlists.items(), 2):
            yield f"{_short(one_url)} and {_short(other_url)}", one, other


PRESENTATION: RuleSet[[Presentation]] = RuleSet()


@PRESENTATION.rule("6.2.4")
def renditions_have_one_target_duration(presentation: Presentation) -> Iterator[str]:
    """Every media playlist has the same target duration."""
    for names, one, other in presentation.pairs():
        if one.target_duration_s != other.target_duration_s:
            yield f"{names}: {one.target_duration_s} and {other.target_duration_s}"


@PRESENTATION.rule("6.2.4")
def renditions_have_one_server_control(presentation: Presentation) -> Iterator[str]:
    """Every media playlist has the same EXT-X-SERVER-CONTROL."""
    for names, one, other in presentation.pairs():
        if one.control != other.control:
            yield f"{names}: {one.control} and {other.control}"


@PRESENTATION.rule("6.2.4")
def renditions_count_discontinuities_alike(presentation: Presentation) -> Iterator[str]:
    """The same content has the same discontinuity sequence number."""
    for names, one, other in presentation.pairs():
        numbers = {(segment.msn, segment.program_date_time[:19]): segment.discontinuities for segment in one.segments}
        for segment in other.segments:
            number = numbers.get((segment.msn, segment.program_date_time[:19]), segment.discontinuities)
            if number != segment.discontinuities:
                yield f"{names}: segment {segment.msn} has {number} and {segment.discontinuities}"
                break


@PRESENTATION.rule("6.2.4")
def renditions_all_have_dates(presentation: Presentation) -> Iterator[str]:
    """When one media playlist has EXT-X-PROGRAM-DATE-TIME, all have."""
    listed = {_short(url): playlist for url, playlist in presentation.playlists.items() if playlist.segments}
    without = [name for name, playlist in listed.items() if "EXT-X-PROGRAM-DATE-TIME" not in playlist.tags]
    if without and len(without) < len(listed):
        yield f"none in {', '.join(without)}"


@PRESENTATION.rule("B.1")
def every_sibling_is_reported(presentation: Presentation) -> Iterator[str]:
    """A low-latency playlist has one EXT-X-RENDITION-REPORT for each other rendition."""
    for url, playlist in presentation.playlists.items():
        if playlist.part_target_s is None or playlist.ended:
            continue
        reported = [urljoin(url, report.get("URI", "")).split("?")[0] for report in playlist.reports]
        siblings = [other.split("?")[0] for other in presentation.playlists if other != url]
        if sorted(reported) != sorted(siblings):
            missing = ", ".join(_short(sibling) for sibling in sorted(set(siblings) - set(reported)))
            yield f"{_short(url)}: {len(reported)} reports for {len(siblings)} siblings; missing: {missing or 'none'}"


def _short(url: str) -> str:
    return "/".join(url.rsplit("/", 2)[-2:])
