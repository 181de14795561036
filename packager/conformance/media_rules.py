"""Rules of media: init segments, parts and segments against what the playlist says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packager.conformance.boxes import BadBoxes, Fragment, InitTrack, read_fragments, read_init
from packager.conformance.rules import RuleSet, Violation, new_rule

_UNREADABLE = new_rule(
    "3.1.2", "media-are-fragmented-mp4", "MUST", "An init segment has moov; a part and a segment are moof and mdat."
)
_PART_DURATION_TOLERANCE_S = 0.002
_SEGMENT_DURATION_TOLERANCE_S = 0.1
_BANDWIDTH_TOLERANCE = 1.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A part or a segment, and what is known of it. `goes_on_from` is the end of what came before it, in ticks."""

    name: str
    init: Sequence[InitTrack]
    fragments: Sequence[Fragment]
    size_bytes: int
    listed_s: float
    is_part: bool
    independent: bool = False
    goes_on_from: dict[int, int] | None = None
    parts: Sequence[Fragment] | None = None
    """Of a segment: the fragments of all its parts, where they are known."""

    def main(self) -> InitTrack:
        """The track that durations are of: the video, where there is one."""
        return next((track for track in self.init if track.kind == "vide"), self.init[0])

    def runs(self, track_id: int) -> Iterator[tuple[int, int]]:
        """Begin and end of each fragment of a track."""
        for fragment in self.fragments:
            for run in fragment.runs:
                if run.track_id == track_id:
                    yield run.tfdt, run.end

    def ends(self) -> dict[int, int]:
        """Where each track ends, in ticks."""
        return {run.track_id: run.end for fragment in self.fragments for run in fragment.runs}

    @property
    def start_s(self) -> float:
        """The decode time of its first sample."""
        track = self.main()
        return next(self.runs(track.track_id), (0, 0))[0] / track.timescale_hz


MEDIA: RuleSet[[Media]] = RuleSet()


def init_of(name: str, data: bytes) -> tuple[list[InitTrack], list[Violation]]:
    """The tracks of an init segment, or why there are none."""
    try:
        tracks = read_init(data)
    except BadBoxes as error:
        return [], [Violation(_UNREADABLE, f"{name}: {error}")]
    return tracks, [] if tracks else [Violation(_UNREADABLE, f"{name}: no track")]


def fragments_of(name: str, data: bytes, init: list[InitTrack]) -> tuple[list[Fragment], list[Violation]]:
    """The fragments of a part or segment, or why there are none."""
    try:
        return read_fragments(data, init), []
    except BadBoxes as error:
        return [], [Violation(_UNREADABLE, f"{name}: {error}")]


@MEDIA.rule("4.4.4.3")
def timestamps_go_on_where_they_ended(media: Media) -> Iterator[str]:
    """Without a discontinuity each fragment begins where the one before it, of the same track, ended."""
    for track in media.init:
        expected = None if media.goes_on_from is None else media.goes_on_from.get(track.track_id)
        for begin, end in media.runs(track.track_id):
            if expected is not None and abs(begin - expected) > track.timescale_hz // 1000:
                off_s = (begin - expected) / track.timescale_hz
                yield f"{media.name}: tfdt {begin} of the {track.kind} track, {off_s:+.4f} s off what came before"
            expected = end


@MEDIA.rule("4.4.4.9")
def listed_durations_are_those_of_the_samples(media: Media) -> Iterator[str]:
    """DURATION of a part and EXTINF are what their samples last."""
    track = media.main()
    real_s = sum(end - begin for begin, end in media.runs(track.track_id)) / track.timescale_hz
    tolerance_s = _PART_DURATION_TOLERANCE_S if media.is_part else _SEGMENT_DURATION_TOLERANCE_S
    if abs(real_s - media.listed_s) > tolerance_s:
        yield f"{media.name}: listed {media.listed_s} s, its samples last {real_s:.5f} s"


@MEDIA.rule("4.4.4.9")
def independent_parts_begin_with_a_keyframe(media: Media) -> Iterator[str]:
    """A part with INDEPENDENT=YES begins with a frame that needs no other."""
    track = media.main()
    if not media.independent or track.kind != "vide" or not media.fragments:
        return
    first = next((run for run in media.fragments[0].runs if run.track_id == track.track_id), None)
    if first is None or not first.first_is_sync:
        yield f"{media.name}: its first sample is marked as one that depends on others"
    elif track.codec.startswith("avc") and 5 not in _nal_types(
        media.fragments[0].first_samples.get(track.track_id, b"")
    ):
        yield f"{media.name}: its first sample has no IDR slice"


def _nal_types(sample: bytes) -> set[int]:
    """The types of the NAL units of an H.264 sample, each behind its length in four bytes."""
    types, position = set(), 0
    while position + 5 <= len(sample):
        types.add(sample[position + 4] & 0x1F)
        position += 4 + int.from_bytes(sample[position : position + 4], "big")
    return types


@MEDIA.rule("3.2")
def a_segment_holds_what_its_parts_hold(media: Media) -> Iterator[str]:
    """A segment and the complete set of its parts contain the same samples at the same times."""
    if media.parts is None:
        return
    whole, parts = (b"".join(fragment.payload for fragment in found) for found in (media.fragments, media.parts))
    if whole != parts:
        yield f"{media.name}: {len(whole)} bytes of samples, its parts have {len(parts)}, or others"
    starts = [[run.tfdt for run in found[0].runs] if found else [] for found in (media.fragments, media.parts)]
    if starts[0] != starts[1]:
        yield f"{media.name} begins at {starts[0]}, its first part at {starts[1]}"


CODECS: RuleSet[[str, Sequence[InitTrack], str]] = RuleSet()


@CODECS.rule("6.2.4")
def codecs_are_those_of_the_init_segments(name: str, init: Sequence[InitTrack], codecs: str) -> Iterator[str]:
    """CODECS lists every format in the init segments, with its real profile and level."""
    listed = {codec.strip().lower() for codec in codecs.split(",")}
    for track in init:
        if track.codec.lower() not in listed:
            yield f"{name}: its init segment is {track.codec!r}, CODECS is {codecs!r}"


BANDWIDTH: RuleSet[[str, float, int]] = RuleSet()


@BANDWIDTH.rule("4.4.6.2", "SHOULD")
def bandwidth_is_that_of_the_largest_segment(name: str, peak_bps: float, bandwidth_bps: int) -> Iterator[str]:
    """BANDWIDTH is the largest sum of the bit rates of segments."""
    if peak_bps > bandwidth_bps * _BANDWIDTH_TOLERANCE:
        yield f"{name}: BANDWIDTH {bandwidth_bps}, measured {peak_bps:.0f}"


DATES: RuleSet[[dict[str, float]]] = RuleSet()


@DATES.rule("6.2.4")
def dates_go_with_timestamps_alike(zeros_s: dict[str, float]) -> Iterator[str]:
    """PROGRAM-DATE-TIME less decode time, by rendition, is one moment: dates map to timestamps alike everywhere."""
    if zeros_s and max(zeros_s.values()) - min(zeros_s.values()) > 0.1:
        first = min(zeros_s, key=lambda name: zeros_s[name])
        last = max(zeros_s, key=lambda name: zeros_s[name])
        yield f"in {last} they are {zeros_s[last] - zeros_s[first]:.3f} s later than in {first}"
