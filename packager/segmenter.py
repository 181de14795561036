"""The samples of one rendition to chunks, parts and segments."""

from __future__ import annotations

from dataclasses import dataclass, field

from packager.cmaf import fragment
from packager.cuts import Cut, CutPolicy, SourceCuts
from packager.publication import Part, Publication
from packager.samples import Sample, Track

_FRAGMENTS_PER_SEGMENT = 1000


@dataclass(slots=True)
class _OpenPart:
    independent: bool
    ticks: int = 0
    chunks: list[bytes] = field(default_factory=list)


class RenditionSegmenter:
    """Collects samples until the policy cuts, then publishes. Used from one thread.

    With the publication's `chunk_s` a part is several fragments, each handed on as soon as its samples are there.
    """

    def __init__(self, publication: Publication, track: Track, cuts: CutPolicy) -> None:
        self._publication = publication
        self._track = track
        self._cuts = cuts
        self._samples: list[Sample] = []
        self._part: _OpenPart | None = None
        self._parts: list[Part] = []
        self._next_msn = publication.next_msn if publication.breaks else 0
        self._discontinuity = publication.breaks
        self.published = 0
        """Counts the parts and segments that have been published."""
        self.going_on = publication.add_rendition(track)
        """Where a rendition goes on that another worker has begun."""
        if self.going_on is not None:
            self._parts = list(self.going_on.parts)
            self._next_msn = self.going_on.msn + bool(self._parts)
        # Above all that were given out: they only have to rise.
        self._fragments = self._next_msn * _FRAGMENTS_PER_SEGMENT

    def add(self, sample: Sample) -> None:
        """The next sample in decode order."""
        self._cut(self._cuts.before(sample))
        if self._part is None:
            if not self._parts:
                self._open_segment(sample)
            self._part = _OpenPart(sample.keyframe)
        self._part.ticks += sample.duration
        self._samples.append(sample)
        ends = self._cuts.after(sample)
        if ends is not Cut.NONE:
            self._cut(ends)
        elif self._publication.chunk_s and self._is_chunk():
            self._end_chunk(self._part)
            self._publication.append_chunk(self._track.name, self._part.chunks[-1])

    def change_track(self, track: Track, cuts: CutPolicy | None = None) -> None:
        """What follows has another decoder configuration: a new init segment and a discontinuity.

        A rendition that follows another one gets new `cuts` for the new timescale, and has no more to come of what that
        one has ended. Raises `TypeError` where segments end by plan: the other renditions could not follow.
        """
        if cuts is None and not isinstance(self._cuts, SourceCuts):
            raise TypeError(f"{type(self._cuts).__name__} allow no change of track")
        self.flush()
        if cuts is not None:
            self._cuts = cuts
        elif isinstance(self._cuts, SourceCuts):
            self._cuts.end_segment()
        self._track = track
        self._discontinuity = self._next_msn > 0
        self._publication.change_track(track)

    def flush(self) -> None:
        """Publish what is open."""
        if self._part is not None:
            self._parts.append(self._take_part(self._part))
        if self._parts:
            self._publication.finish_segment(self._track.name, self._parts)
            self.published += 1
        self._parts = []

    def _cut(self, cut: Cut) -> None:
        if cut is Cut.SEGMENT:
            self.flush()
        elif cut is Cut.PART and self._part is not None:
            self._parts.append(self._take_part(self._part))
            self._publication.write_part(self._track.name, self._parts[-1])
            self.published += 1

    def _open_segment(self, sample: Sample) -> None:
        # A number already given out never comes again, whatever the policy says.
        msn = max(self._next_msn, self._cuts.media_sequence)
        self._next_msn = msn + 1
        start_s = sample.dts / self._track.timescale_hz
        self._publication.open_segment(self._track.name, msn, start_s, self._discontinuity)
        self._discontinuity = False

    def _is_chunk(self) -> bool:
        """Whether one sample more would take the chunk farther from `chunk_s` than it is now."""
        first, last = self._samples[0], self._samples[-1]
        middle_of_next = last.dts - first.dts + last.duration * 1.5
        return middle_of_next >= self._publication.chunk_s * self._track.timescale_hz

    def _end_chunk(self, part: _OpenPart) -> None:
        samples, self._samples = self._samples, []
        part.chunks.append(fragment(self._track, self._fragments, samples))
        self._fragments += 1

    def _take_part(self, part: _OpenPart) -> Part:
        if self._samples:
            self._end_chunk(part)
        self._part = None
        return Part(b"".join(part.chunks), part.ticks / self._track.timescale_hz, part.independent)
