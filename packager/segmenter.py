"""The samples of one rendition to parts and segments."""

from __future__ import annotations

from packager.cmaf import fragment
from packager.cuts import Cut, CutPolicy, SourceCuts
from packager.publication import Part, Publication
from packager.samples import Sample, Track


class RenditionSegmenter:
    """Collects samples until the policy cuts, then publishes. Used from one thread."""

    def __init__(self, publication: Publication, track: Track, cuts: CutPolicy) -> None:
        self._publication = publication
        self._track = track
        self._cuts = cuts
        self._samples: list[Sample] = []
        self._parts: list[Part] = []
        self._fragments = 0
        self._next_msn = 0
        self._discontinuity = False
        publication.add_rendition(track)

    def add(self, sample: Sample) -> None:
        """The next sample in decode order."""
        cut = self._cuts.before(sample)
        if cut is Cut.SEGMENT:
            self.flush()
        elif cut is Cut.PART and self._samples:
            self._parts.append(self._take_part())
            self._publication.write_part(self._track.name, self._parts[-1])
        if not self._samples and not self._parts:
            self._open_segment(sample)
        self._samples.append(sample)

    def change_track(self, track: Track) -> None:
        """What follows has another decoder configuration: a new init segment and a discontinuity.

        Raises `TypeError` where segments end by plan: the other renditions could not follow.
        """
        if not isinstance(self._cuts, SourceCuts):
            raise TypeError(f"{type(self._cuts).__name__} allow no change of track")
        self.flush()
        self._cuts.end_segment()
        self._track = track
        self._discontinuity = self._next_msn > 0
        self._publication.change_track(track)

    def flush(self) -> None:
        """Publish what is open."""
        if not self._samples:
            return
        parts = [*self._parts, self._take_part()]
        self._publication.finish_segment(self._track.name, parts)
        self._parts = []

    def _open_segment(self, sample: Sample) -> None:
        # A number already given out never comes again, whatever the policy says.
        msn = max(self._next_msn, self._cuts.media_sequence)
        self._next_msn = msn + 1
        start_s = sample.dts / self._track.timescale_hz
        self._publication.open_segment(self._track.name, msn, start_s, self._discontinuity)
        self._discontinuity = False

    def _take_part(self) -> Part:
        samples, self._samples = self._samples, []
        ticks = sum(sample.duration for sample in samples)
        data = fragment(self._track, self._fragments, samples)
        self._fragments += 1
        return Part(data, ticks / self._track.timescale_hz, samples[0].keyframe)
